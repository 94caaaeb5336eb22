"""The networks of finished runs, ready to look at a video."""

from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.experiment.run import artifacts, devices, forward, run_folder
from d3ke_lib.experiment.run.codec import from_values
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.files import D3keError
from d3ke_lib.nets.exported import load_network
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.temporal import Refiner


class Networks(NamedTuple):
    """A frame network and, where one is trained, the temporal network that refines its predictions."""

    skeleton: Skeleton
    frame: FrameNet
    config: FrameConfig
    refiner: Refiner | None
    refining: TemporalConfig | None
    rate: float  # of the temporal network's training data, Hz
    names: tuple[str, ...]  # run folders within the profile's


def load_networks(frame_run: Path, temporal_run: Path | None) -> Networks:
    """Both networks in evaluation mode, of finished runs' folders or of files of `make export-weights`.

    Raises D3keError, or ValueError naming the file, for what cannot be read or does not belong together.
    """
    skeleton = default_skeleton()
    frame, about = _load(frame_run, skeleton, "frame")
    config = from_values(FrameConfig, about["config"])
    networks = Networks(skeleton, frame, config, None, None, 0.0, (f"frame/{frame_run.stem}",))
    if temporal_run is None:
        return networks
    refiner, refining = _load(temporal_run, skeleton, "temporal")
    if refining["frame"] != about["weights_sha256"]:
        raise D3keError(f"{temporal_run}: refines another frame network than {frame_run}")
    names = (*networks.names, f"temporal/{temporal_run.stem}")
    how = from_values(TemporalConfig, refining["config"])
    return networks._replace(refiner=refiner, refining=how, rate=refining["rate_hz"], names=names)


def _load(path: Path, skeleton: Skeleton, kind: str) -> tuple[Any, dict[str, Any]]:
    """A network on the device its configuration names, and the content of its run.json."""
    if path.is_dir():
        load = forward.load_frame_net if kind == "frame" else forward.load_temporal_net
        net, about = load(path, skeleton)[0], artifacts.read_json(path / run_folder.RESULT)
    else:
        net, about = load_network(path, deepcopy(skeleton))
    found = about.get("kind"), about.get("config", {}).get("head")
    if found != (kind, "pose"):
        raise D3keError(f"{path}: expected a {kind} network of poses, found {' of '.join(map(str, found))}")
    return net.to(devices.choose(about["config"]["device"])), about
