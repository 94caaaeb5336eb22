"""Joint angles of a person in a video.

check_request → find_person → load_networks → predict_video → write_prediction; the first two import no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "networks": ["Networks", "load_networks"],
        "outputs": ["write_prediction"],
        "overlay": ["WARNING"],
        "person": ["Person", "find_person"],
        "predict": ["Prediction", "predict_video"],
        "request": ["FOCAL", "Request", "check_request"],
    },
)
