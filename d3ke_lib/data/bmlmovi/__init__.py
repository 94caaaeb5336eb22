"""BMLmovi, AMASS and SMPL-H → records. No other room knows these data sets."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "check": ["check_data", "format_report", "is_complete"],
        "config": ["BmlmoviConfig", "describe"],
        "convert": ["IncompleteError", "make"],
        "folder_tree": ["BmlmoviError"],
        "labels": ["Labels", "load_labels", "select_markers"],
    },
)
