"""A trained network as one file: weights, how to build it, and the skeleton whose poses it predicts.

The skeleton is told by its names and by numbers: ranges, means and amplitudes of what is predicted, and its
points in two poses. A network put on another skeleton would run, and predict nonsense.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from d3ke_lib.body.pose import Pose, SkeletonLayer
from d3ke_lib.files import replacing
from d3ke_lib.nets import weights
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.points import PointsNet
from d3ke_lib.nets.temporal import Refiner, build_refiner

_Network = FrameNet | PointsNet | Refiner
_NAMES = ("coordinates", "bodies", "joints", "markers")
_SKELETON = "skeleton."
_TOLERANCE = 1e-5  # m, rad or a factor


def export_network(path: Path, net: _Network, options: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Writes `net` to a .safetensors file.

    options: what builds it on a skeleton again: arguments of FrameNet, of build_refiner (with `kind`)
    or of PointsNet (with `predicts`, "points");
    about: JSON values that `load_network` returns (data, recipe, metrics, …).
    """
    state = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    header = {
        **about,
        "options": dict(options),
        "skeleton": {kind: list(getattr(net.skeleton, kind)) for kind in _NAMES},
        "weights_sha256": weights.digest(state),
    }
    with replacing(path) as partial:
        described = {"about": json.dumps(header, sort_keys=True, allow_nan=False)}
        save_file(state | _describe(net.skeleton), partial, metadata=described)
        partial.chmod(0o644)  # safetensors leaves it readable by nobody else
    return path


def load_network(
    path: str | Path, skeleton: SkeletonLayer, sha256: str | None = None
) -> tuple[_Network, dict[str, Any]]:
    """The network of an exported file, on the CPU in evaluation mode, and what the file says about it.

    sha256: of the file, or its first digits. Raises FileNotFoundError, and ValueError naming the file:
    another hash, changed weights, not an exported network, another skeleton.
    """
    path = Path(path)
    found = weights.read(path, sha256)
    about = _read_about(path)
    state = {name: value for name, value in found.items() if not name.startswith(_SKELETON)}
    if (digest := weights.digest(state)) != about["weights_sha256"]:
        raise ValueError(f"{path}: expected weights of SHA-256 {about['weights_sha256']}, found {digest}")
    _check_skeleton(path, skeleton, about["skeleton"], found)
    net = _build(skeleton, **about["options"])
    weights.fit(net, state, str(path))
    return net.eval(), about


def _build(skeleton: SkeletonLayer, predicts: str = "pose", **options: Any) -> _Network:
    if "kind" in options:
        return build_refiner(skeleton=skeleton, predicts=predicts, **options)
    return (PointsNet if predicts == "points" else FrameNet)(skeleton, **options)


def _read_about(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
    except (SafetensorError, json.JSONDecodeError):
        about = {}
    if missing := {"options", "skeleton", "weights_sha256"} - set(about):
        raise ValueError(
            f"{path}: expected a network of `make export-weights`, found a header without {sorted(missing)}"
        )
    return about


def _describe(skeleton: SkeletonLayer) -> dict[str, Tensor]:
    """What tells a skeleton from another one, by name; float32 on the CPU."""
    bent = skeleton.angle_middle + 0.3 * skeleton.angle_half
    R = torch.eye(3).to(bent)
    poses = {
        "rest": Pose(torch.zeros_like(bent), skeleton.generic_scales, R),
        "bent": Pose(bent, 1.1 * skeleton.generic_scales, R),
    }
    with torch.no_grad():
        numbers = {name: torch.cat([*skeleton(pose)]) for name, pose in poses.items()}
    numbers |= {name: getattr(skeleton, name) for name in ("ranges", "scale_middle", "scale_half")}
    return {_SKELETON + name: value.detach().cpu().float().contiguous() for name, value in numbers.items()}


def _check_skeleton(
    path: Path, skeleton: SkeletonLayer, names: Mapping[str, list[str]], found: Mapping[str, Tensor]
) -> None:
    for kind in _NAMES:
        ours = list(getattr(skeleton, kind))
        if ours != names.get(kind):
            other = sorted(set(ours) ^ set(names.get(kind, []))) or "the same in another order"
            raise ValueError(f"{path}: another skeleton: expected our {kind}, found {other} to differ")
    for name, ours in _describe(skeleton).items():
        theirs = found.get(name)
        if theirs is None or theirs.shape != ours.shape or (theirs - ours).abs().max() > _TOLERANCE:
            raise ValueError(
                f"{path}: another skeleton: expected our numbers in {name.removeprefix(_SKELETON)!r}, "
                "found others"
            )
