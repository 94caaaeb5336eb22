"""OpenSim's files: models (.osim), marker sets (.xml), motions (.mot, .sto), marker trajectories (.trc)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "model": ["Body", "OsimError"],
        "read": ["load_osim"],
        "markers": ["read_marker_set"],
        "write": ["write_osim"],
        "motion_files": ["read_mot", "read_trc", "write_mot", "write_trc"],
    },
)
