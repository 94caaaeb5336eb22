"""Inverse kinematics. On the command line: python -m d3ke_lib.body.ik --help."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "joint_scaling": ["solve_with_scales"],
        "solve": ["Prior", "Residuals", "UnseenFrames"],
        "tasks": ["read_marker_weights"],
    },
)
