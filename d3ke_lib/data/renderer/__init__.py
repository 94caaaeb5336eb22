"""A dressed surface in a room → RGB images; round cones: the body as what must not penetrate itself."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "appearance": ["draw_appearance", "draw_light", "draw_room", "paint_body"],
        "body_surface": ["BodySurface", "load_surface", "pose_surface", "scale_girth"],
        "round_cones": ["Cones"],
    },
)
