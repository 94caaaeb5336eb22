"""The way from a request to a prediction, by whichever method is asked for."""

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.data.video import Progress, no_progress
from d3ke_lib.experiment.video.by_landmarks import predict_by_landmarks
from d3ke_lib.experiment.video.networks import load_networks
from d3ke_lib.experiment.video.person import find_person
from d3ke_lib.experiment.video.predict import predict_video
from d3ke_lib.experiment.video.prediction import Prediction
from d3ke_lib.experiment.video.request import Request


def predict_request(request: Request, progress: Progress = no_progress) -> tuple[Prediction, Skeleton]:
    """The prediction and its skeleton. Raises VideoError naming the file, D3keError for runs that miss."""
    if request.method != "d3ke":
        skeleton = default_skeleton()
        return predict_by_landmarks(request, skeleton, progress), skeleton
    person = find_person(request, progress)
    networks = load_networks(request.frame_run, request.temporal_run)
    return predict_video(person, networks, request.focal, progress), networks.skeleton
