"""Subjects' surfaces: a skinned, dressed mesh of MakeHuman's CC0 assets; labels stay the skeleton's."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cast": ["DressedSubject", "People", "draw_person", "load_people"],
        "template": ["prepare_template"],
    },
)
