"""Scaling a model to a subject. On the command line: python -m d3ke_lib.body.scaling --help."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "factors": ["D3KE_MEASUREMENTS", "Measurement", "SkippedMeasurement", "scale_factors"],
        "setup_file": ["ScaleSetup", "read_scale_setup"],
    },
)
