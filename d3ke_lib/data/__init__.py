"""Records on disk, and the data sets, batches and augmentations made of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules={"augment", "bmlmovi", "camera", "records", "renderer", "synthetic", "video"},
    submod_attrs={
        "augment": ["AugmentConfig"],
        "batch": ["Batch"],
        "datasets": ["FrameSet", "TemporalSet", "sequences"],
        "records": ["Record", "RecordError"],
    },
)
