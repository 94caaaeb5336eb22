"""What runs things and writes results: `pipeline` has the stages."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules=["pipeline"])
