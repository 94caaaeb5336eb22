"""Studies next to the experiment: backbones compared, one switch at a time, OpenSim as a reference."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={
        "ablation",
        "backbone_anatomy",
        "backbone_plots",
        "benchmarks",
        "ik_trials",
        "opensim_oracle",
    },
)
