"""Landmarks of real people: BlazePose's networks, the body's landmarks, and poses lifted from them.

detect_people → landmarks in the image and in 3-D; body_with_landmarks → where they are on the skeleton.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "names": ["NAMES"],
        "networks": ["LandmarkNetworks", "load_networks"],
        "tracking": ["Landmarks", "detect_landmarks", "detect_people"],
    },
)
