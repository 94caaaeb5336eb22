"""Joint angles of a person in a video.

check_request (no torch) → predict_request → write_prediction; the second is, for METHOD=d3ke,
find_person → load_networks → predict_video, and for the others predict_by_landmarks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "accuracy": ["warning"],
        "by_landmarks": ["predict_by_landmarks"],
        "methods": ["predict_request"],
        "networks": ["Networks", "load_networks"],
        "outputs": ["write_prediction"],
        "person": ["Person", "find_person"],
        "predict": ["predict_video"],
        "prediction": ["Prediction"],
        "request": ["FOCAL", "METHODS", "Request", "check_request"],
    },
)
