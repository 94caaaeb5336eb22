"""A dressed surface in a room → RGB images; round cones: the body as what must not penetrate itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "appearance": ["draw_light", "draw_room"],
        "body_surface": ["BodySurface", "Cones", "load_surface", "pose_surface"],
    },
)
