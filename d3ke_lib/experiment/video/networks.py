"""The networks of finished runs, ready to look at a video."""

from pathlib import Path
from typing import NamedTuple

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.experiment.run import artifacts, forward, run_folder
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
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
    """Both networks in evaluation mode. Raises D3keError for files that do not belong together."""
    skeleton = default_skeleton()
    frame, config = forward.load_frame_net(frame_run, skeleton)
    networks = Networks(skeleton, frame, config, None, None, 0.0, (f"frame/{frame_run.name}",))
    if temporal_run is None:
        return networks
    refiner, refining = forward.load_temporal_net(temporal_run, skeleton)
    rate = artifacts.read_json(temporal_run / run_folder.RESULT)["rate_hz"]
    names = (*networks.names, f"temporal/{temporal_run.name}")
    return networks._replace(refiner=refiner, refining=refining, rate=rate, names=names)
