"""Claims that are tested without training: by counting, by shapes, by arithmetic on random numbers.

And numbers that follow from several of a recorded study's: None while they are not recorded.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck

from d3ke_lib.body.ik.solve import solve
from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.experiment.report.effects import ANGLE, training_seconds
from d3ke_lib.experiment.studies.backbone_anatomy import anatomy, imagenet_errors, network
from d3ke_lib.nets import head, temporal
from d3ke_lib.nets.weights import seeded

_SMALL, _LARGE = "resnext50_32x4d", "resnext101_32x8d"
# Words in the names of coordinates that rotate about a vertical axis, and about one from back to front.
_TRANSVERSE = {"AR", "rotation", "rot", "y", "pro", "r2"}
_FRONTAL = {"LB", "adduction", "x", "subtalar", "r3", "shoulder", "ribs"}
_NOISE = 0.03  # m per axis: about what a network's markers are off


# --- architecture -------------------------------------------------------------------------------------------


@torch.no_grad()
def grouped_block_difference() -> float:
    """A grouped bottleneck against the sum of its 32 branches, each computed alone; relative, float64."""
    with seeded(0):
        block, x = (
            Bottleneck(256, 64, groups=32, base_width=4).double().eval(),
            torch.rand(2, 256, 8, 8).double(),
        )
    whole = _transform(block, x, slice(None), 32)
    width = block.conv2.out_channels // 32
    branches = [_transform(block, x, slice(i * width, (i + 1) * width), 1) for i in range(32)]
    return float((torch.stack(branches).sum(0) - whole).abs().max() / whole.abs().max())


def _transform(block: Bottleneck, x: Tensor, rows: slice, groups: int) -> Tensor:
    """1×1, 3×3, 1×1 convolutions of some of the inner channels; linear at the end."""
    inner = functional.conv2d(x, block.conv1.weight[rows])
    inner = functional.relu(_normalise(block.bn1, inner, rows))
    inner = functional.conv2d(inner, block.conv2.weight[rows], padding=1, groups=groups)
    inner = functional.relu(_normalise(block.bn2, inner, rows))
    return functional.conv2d(inner, block.conv3.weight[:, rows])


def _normalise(norm: nn.BatchNorm2d, x: Tensor, rows: slice) -> Tensor:
    parts = (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    return functional.batch_norm(x, *(part[rows] for part in parts))


def stage_blocks(name: str) -> list[int]:
    return list(anatomy(name).blocks)


def _block_convolutions(name: str) -> int:
    """Convolutions within the blocks, those of shortcuts left out."""
    net = network(name)
    stages = (net.layer1, net.layer2, net.layer3, net.layer4)
    return sum(isinstance(part, nn.Conv2d) for s in stages for b in s for part in b.children())


def _imagenet_gain(small: str, large: str) -> float:
    """Top-1 error of the larger − the smaller network, per cent, by torchvision's metadata of its weights."""
    return round(imagenet_errors(large)[0] - imagenet_errors(small)[0], 3)


class _WithoutIdentity(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out))))))


def _gradient_spread(block: type[Bottleneck], depth: tuple[int, ...] = (3, 4, 23, 3)) -> float:
    """|log10| of the gradient norm of the first block's 3×3 weights over the last block's, at the start."""
    with seeded(0):
        net, x = ResNet(block, list(depth), groups=32, width_per_group=4), torch.rand(4, 3, 64, 64)
        functional.cross_entropy(net(x), torch.arange(4)).backward()
    first, last = (stage.conv2.weight.grad.norm() for stage in (net.layer1[0], net.layer4[-1]))
    return abs(math.log10(float(first / last)))


def refiner_dimensions() -> float:
    """Coordinates per point that the temporal network is given: inputs that are no pose, over 115."""
    skeleton = default_skeleton()
    pose = 3 * len(skeleton.bodies) + 9 + len(skeleton.coordinates)
    return (temporal.feature_count(skeleton) - pose) / (len(skeleton.joints) + len(skeleton.markers))


def _refiner_features() -> int:
    return temporal.feature_count(default_skeleton())


# --- ranges -------------------------------------------------------------------------------------------------


def _share_outside(angles: Tensor, skeleton: Skeleton) -> float:
    """Of coordinates, in per cent; ranges as the networks map to them."""
    return 100 * float(((angles - skeleton.angle_middle).abs() > skeleton.angle_half + 1e-5).float().mean())


def network_outside() -> float:
    """Any output of a network, however large, through the range mapping."""
    skeleton = default_skeleton()
    values = 1e3 * torch.randn(256, head.width(skeleton), generator=torch.Generator().manual_seed(0))
    pose = head.to_pose(skeleton, values[:, :6], head.to_unit(values[:, 6:]))
    return _share_outside(pose.angles, skeleton)


def _inverse_kinematics_outside() -> float:
    """Inverse kinematics without ranges, of markers with noise of a network's size."""
    skeleton, draws = default_skeleton(), torch.Generator().manual_seed(0)
    unit = 1.2 * torch.rand(24, len(skeleton.coordinates), generator=draws) - 0.6
    angles = skeleton.angle_middle + unit * skeleton.angle_half.clamp(max=1.0)
    scales = skeleton.generic_scales.expand(24, -1, -1)
    markers = skeleton(Pose(angles, scales, torch.eye(3).expand(24, 3, 3))).markers
    markers = markers + _NOISE * torch.randn(markers.shape, generator=draws)
    return _share_outside(solve(skeleton, markers, bounds="none")[0].angles, skeleton)


CHECKS: dict[str, Callable[[], Any]] = {
    "grouped_block_difference": grouped_block_difference,
    "blocks_50": lambda: stage_blocks(_SMALL),
    "blocks_101": lambda: stage_blocks(_LARGE),
    "convolutions_50": lambda: _block_convolutions(_SMALL),
    "imagenet_resnet": lambda: _imagenet_gain("resnet50", "resnet101"),
    "imagenet_resnext": lambda: _imagenet_gain(_SMALL, _LARGE),
    "gradient_spread_gained": lambda: _gradient_spread(_WithoutIdentity) - _gradient_spread(Bottleneck),
    "refiner_dimensions": refiner_dimensions,
    "refiner_features": _refiner_features,
    "network_outside_percent": network_outside,
    "inverse_kinematics_outside_percent": _inverse_kinematics_outside,
}


# --- from recorded results ----------------------------------------------------------------------------------


NO_RESULTS = {"settings": {}, "methods": {}, "cost": {"training": {}}}  # of a study that is not recorded


def derive(results: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers that follow from several of results.json's."""
    frame, refined = f"frame/{_SMALL}", f"temporal/transformer.{_SMALL}"
    direct, points = _mean(results, refined), _mean(results, f"{refined}@points")
    seconds = [training_seconds(results, f"frame/{name}") for name in (_LARGE, _SMALL)]
    ratio = _ratio(direct, points)
    return {
        "direct_relative_percent": None if ratio is None else 100 * (ratio - 1),
        "held_out_look_ratio": _ratio(_mean(results, frame, "H1"), _mean(results, frame, "R1")),
        "training_time_ratio": _ratio(*seconds),
        "transverse_excess_deg": _transverse_excess(results),
    }


def _mean(results: Mapping[str, Any], setting: str, condition: str | None = None) -> float | None:
    found = results["settings"].get(setting, {})
    chosen = found.get("summary") if condition is None else found.get("conditions", {}).get(condition)
    return chosen[ANGLE]["mean"] if chosen else None


def _ratio(over: float | None, under: float | None) -> float | None:
    return None if over is None or under is None else over / under


def _transverse_excess(results: Mapping[str, Any]) -> float | None:
    """Mean error of coordinates in the transverse plane − that of the next plane, degrees."""
    runs = [each for name, each in results["methods"].items() if name.startswith(f"frame/{_SMALL}.")]
    if not runs:
        return None
    planes: dict[str, list[float]] = {}
    for run in runs:
        for name, found in run["coordinates"].items():
            planes.setdefault(plane_of(name), []).append(found["mae_deg"])
    means = {plane: float(np.mean(values)) for plane, values in planes.items()}
    return means.pop("transverse") - max(means.values())


def plane_of(coordinate: str) -> str:
    """The plane that a coordinate rotates in while all others are 0, by its name."""
    words = set(coordinate.split("_"))
    if words & _TRANSVERSE or coordinate.startswith("elv_angle"):
        return "transverse"
    return "frontal" if words & _FRONTAL else "sagittal"
