"""Arithmetic that gives the same bits on every x86-64 processor; `portable` carries a function out in it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"mode": ["Portable", "portable"]})
