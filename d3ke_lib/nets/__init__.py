"""The networks and what they are trained and evaluated with. Knows nothing of data on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["losses"],
    submod_attrs={
        "exported": ["export_network", "load_network"],
        "frame": ["FrameNet"],
        "released.checkpoints": ["load_released"],
        "temporal": ["build_refiner"],
    },
)
