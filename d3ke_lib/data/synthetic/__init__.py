"""Synthetic subjects perform actions in front of calibrated cameras: `make` writes their records."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "generate": ["DataConfig", "describe", "make", "make_takes"],
        "motion": ["ACTIONS", "Motion", "Style", "draw_style", "generate_motion"],
        "people_scene": ["PeopleSubject", "PeopleTake", "draw_subject", "put_on_floor", "render_take"],
    },
)
