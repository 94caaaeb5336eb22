"""The skeleton: OpenSim models and motions, forward and inverse kinematics. Knows nothing of networks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "ik.solve": ["solve"],
        "kinematics": ["Skeleton", "default_skeleton"],
        "opensim.motion_files": ["read_mot", "read_trc", "write_mot", "write_trc"],
        "opensim.read": ["load_osim"],
        "opensim.write": ["write_osim"],
        "pose": ["Points", "Pose", "Validity"],
        "spec": ["D3KE"],
    },
)
