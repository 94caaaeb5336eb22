"""Compare with the released networks' stored outputs: python scripts/parity.py [--shared ../shared]

Our networks, losses and metrics, with the released weights and inputs that its `fill.py` makes from names
alone, on the released skeleton. Writes data/results/parity.json, which notebook 09 shows.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import _cli
import numpy as np
import torch
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.body.spec import D3KE
from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.nets import head, losses, metrics, temporal
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.released import checkpoints

SALT = "shared"
_FIELDS = {
    "angles": "predRot",
    "scales": "predBoneScale",
    "joints": "predJointPos",
    "markers": "predMarkerPos",
}
ASKED = {"angles": 1e-4, "scales": 1e-5, "rotation": 1e-5, "joints": 1e-4, "markers": 1e-4}  # rad, –, –, m, m
FRAMES = (  # parity file, backbone, centre striding, images
    ("frame_resnext50_32x4d", "resnext50_32x4d", True, 2),
    ("frame_resnext50_32x4d_no_center", "resnext50_32x4d", False, 2),
    ("frame_resnext101_32x8d", "resnext101_32x8d", True, 1),
)
_REFINERS = (
    ("transformer", {}),
    ("tcn", {"form": "strided"}),
    ("tcn", {"form": "dilated"}),
    ("lstm", {}),
)


class _Vectors(NamedTuple):
    """What lies in the folder: stored outputs, keys, and the maker of weights and inputs."""

    folder: Path
    fill: ModuleType
    keys: dict[str, dict[str, list[int]]]
    skeleton: Skeleton

    def state(self, name: str) -> dict[str, Tensor]:
        made = {key: self.fill.tensor(key, tuple(shape), SALT) for key, shape in self.keys[name].items()}
        return {key: torch.from_numpy(np.asarray(value)) for key, value in made.items()}

    def uniform(self, name: str, *shape: int) -> Tensor:
        return torch.from_numpy(self.fill.uniform(name, shape, SALT))

    def stored(self, name: str) -> dict[str, Tensor]:
        with np.load(self.folder / f"{name}.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays if arrays[key].dtype.kind == "f"}


def open_vectors(shared: Path) -> _Vectors:
    """The vectors in `shared`; D3keError where they are not."""
    folder = shared / "parity"
    if not (folder / "fill.py").is_file():
        raise D3keError(
            f"{folder.name}/fill.py is not in {shared.name}/ next to the checkout: nothing to compare with"
        )
    spec = importlib.util.spec_from_file_location("fill", folder / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    skeleton = Skeleton(load_osim(shared / "assets" / "d3ke" / "full_body_wo_hands.osim"), D3KE)
    return _Vectors(folder, fill, json.loads((folder / "keys.json").read_text()), skeleton)


def compare(vectors: _Vectors) -> dict[str, Any]:
    """Everything; see the functions."""
    networks = [skeleton_layer(vectors), *_frame_networks(vectors), *refiners(vectors)]
    return {
        "schema": 1,
        "asked": ASKED,
        "networks": networks,
        "losses": loss_terms(vectors),
        "metrics": metric_values(vectors),
        "rounding": rounding(vectors),
    }


# --- networks ---------------------------------------------------------------------------------------------


@torch.no_grad()
def skeleton_layer(vectors: _Vectors) -> dict[str, Any]:
    z = vectors.stored("tree")
    points = vectors.skeleton(Pose(z["predRot"], z["predBoneScale"], z["rootRot"][:, :3, :3]))
    far = {name: _far(getattr(points, name), z[_FIELDS[name]]) for name in ("joints", "markers")}
    return {"network": "skeleton layer, 32 poses", **far}


@torch.no_grad()
def _frame_networks(vectors: _Vectors) -> list[dict[str, Any]]:
    rows = []
    for file, backbone, centre, images in FRAMES:
        net = FrameNet(vectors.skeleton, backbone, centre).eval()
        checkpoints.load_released(net, vectors.state(f"frame_{backbone}"))
        name = f"{backbone}, {'with' if centre else 'without'} centre striding"
        rows.append(_row(name, vectors.stored(file), *net(vectors.uniform("image", images, 3, 256, 256))))
    return rows


@torch.no_grad()
def refiners(vectors: _Vectors) -> list[dict[str, Any]]:
    """The transformer in two rows: its target frame, and the intermediate ones."""
    rows = []
    for kind, options in _REFINERS:
        pose, points = refiner(vectors, kind, **options)(*window(vectors))
        stored, name = vectors.stored(f"temporal_{kind}"), " ".join([kind, *options.values()])
        if kind == "transformer":
            ends = {"target frame": slice(-1, None), "243 intermediate frames": slice(0, -1)}
            rows += [_row(f"{name}, {part}", stored, pose, points, frames) for part, frames in ends.items()]
        else:
            rows.append(_row(name, stored, pose, points))
    return rows


def refiner(vectors: _Vectors, kind: str, **options: object) -> temporal.Refiner:
    net = temporal.build_refiner(kind, vectors.skeleton, 243, **options).eval()
    checkpoints.load_released(net, vectors.state(f"temporal_{kind}"))
    return net


def window(vectors: _Vectors) -> tuple[Pose, Points]:
    unit = torch.cat(
        [2 * vectors.uniform(name, 1, 243, n) - 1 for name, n in (("scales", 51), ("angles", 69))], -1
    )
    pose = head.to_pose(vectors.skeleton, 2 * vectors.uniform("root6d", 1, 243, 6) - 1, unit)
    return pose, Points(*(2 * vectors.uniform("positions", 1, 243, 115, 3) - 1).split([50, 65], 2))


def _row(
    name: str, stored: dict[str, Tensor], pose: Pose, points: Points, frames: slice | None = None
) -> dict[str, Any]:
    ours = {**pose._asdict(), **points._asdict()}
    pairs = {field: (ours[field], stored[key]) for field, key in _FIELDS.items()}
    pairs["rotation"] = (pose.R_ground_root, stored["rootRot"][..., :3, :3])
    picked = {
        field: tuple(each if frames is None else each[:, frames] for each in pair)
        for field, pair in pairs.items()
    }
    return {"network": name, **{field: _far(*picked[field]) for field in ASKED}}


def _far(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return float((ours.double() - theirs.double()).abs().max())


# --- losses and metrics -------------------------------------------------------------------------------------


def loss_terms(vectors: _Vectors) -> dict[str, dict[str, float]]:
    """Term → theirs (weighted as released) and the relative difference."""
    z = vectors.stored("losses")
    prediction, truth, valid = _example(z)
    terms = losses.losses(prediction, truth, valid, vectors.skeleton)._asdict()
    weighted = {name: float(term) * getattr(losses.RELEASED, name) for name, term in terms.items()}
    theirs = {name: float(z[f"loss_{name}"]) for name in terms}
    return {
        name: {"theirs": theirs[name], "relative": abs(weighted[name] / theirs[name] - 1)} for name in theirs
    }


def metric_values(vectors: _Vectors) -> dict[str, dict[str, float]]:
    """Metric → the notes' definition written out in numpy, in float64, and our difference to it."""
    z = vectors.stored("losses")
    prediction, truth, _ = _example(z)
    ours = metrics.per_frame(prediction, truth, vectors.skeleton)
    a = {name: value.double().numpy() for name, value in z.items()}
    true = a["gt_pose3d"] - a["gt_pose3d"][:, :1]
    found = np.concatenate([a["predJointPos"], a["predMarkerPos"]], 1) - a["predJointPos"][:, :1]
    distance = 1e3 * np.sqrt(((found - true) ** 2).sum(-1))
    bony = vectors.skeleton.marker_weights.numpy() == 20
    assert bony.sum() == 30
    written_out = {
        "angle_mae_deg": np.degrees(np.abs(a["predRot"] - a["gt_coordinateAngle"])).mean(),
        "mpblpe_mm": distance[:, 50:][:, bony].mean(),
        "mpjpe_mm": distance[:, :50].mean(),
        "scale_sum": np.abs(a["predBoneScale"] - a["gt_boneScale"]).sum(-1).mean(),
    }
    return {
        name: {
            "written_out": float(value),
            "difference": abs(float(ours[name].double().mean()) - float(value)),
        }
        for name, value in written_out.items()
    }


def _example(z: dict[str, Tensor]) -> tuple[tuple[Pose, Points], tuple[Pose, Points], Validity]:
    points, mask = z["gt_pose3d"].split([50, 65], 1), z["mask"].bool().split([50, 65], 1)
    R = torch.eye(3).expand(len(points[0]), 3, 3)
    prediction = Pose(z["predRot"], z["predBoneScale"], R), Points(z["predJointPos"], z["predMarkerPos"])
    truth = Pose(z["gt_coordinateAngle"], z["gt_boneScale"], R), Points(*points)
    return prediction, truth, Validity(z["coordinateMask"].bool(), *mask)


# --- the one number above what is asked -------------------------------------------------------------------


@torch.no_grad()
def rounding(vectors: _Vectors) -> dict[str, Any]:
    """The transformer's rotations in float64, and how far both float32 results are from them.

    A rotation's second column is what is left of three numbers when their part along the first column is
    taken off; where little is left (`left_over`) an error of the numbers grows by its inverse.
    """
    net, (pose, points) = refiner(vectors, "transformer"), window(vectors)
    theirs = vectors.stored("temporal_transformer")["rootRot"][0, :, :3, :3]
    numbers, ours = _rotations(net, pose, points)
    exact_numbers, exact = _in_float64(lambda: _rotations(net.double(), *_doubled(pose, points)))
    _, coded = _rotations(net, *_doubled(pose, points))  # float64 but for the position code
    frame = int((ours - theirs).abs().flatten(1).max(1).values.argmax())
    x, y = exact_numbers[:, :3], exact_numbers[:, 3:]
    left = torch.linalg.cross(x, y).norm(dim=-1) / x.norm(dim=-1)

    def far(one: Tensor, other: Tensor) -> float:
        return float((one[frame].double() - other[frame].double()).abs().max())

    return {
        "frame": frame,
        "ours_theirs": far(ours, theirs),
        "theirs_exact": far(theirs, exact),
        "ours_exact": far(ours, exact),
        "position_code_alone": far(coded, exact),
        "numbers_ours_exact": far(numbers, exact_numbers),
        "gram_schmidt_alone": far(head.gram_schmidt(exact_numbers.float()), exact),
        "left_over": float(left[frame]),
        "left_over_median": float(left.median()),
        "median_theirs_exact": float((theirs - exact).abs().flatten(1).max(1).values.median()),
    }


def _rotations(net: temporal.Refiner, pose: Pose, points: Points) -> tuple[Tensor, Tensor]:
    """The six numbers of every frame's rotation, and the rotation."""
    numbers = net.net(temporal.features(pose, points))[0, :, : head.ROTATION]
    return numbers, head.gram_schmidt(numbers)


def _doubled(pose: Pose, points: Points) -> tuple[Pose, Points]:
    return Pose(*(part.double() for part in pose)), Points(*(part.double() for part in points))


def _in_float64(action: Callable[[], Any]) -> Any:
    """With float64 as torch's default, which the position code is made in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return action()
    finally:
        torch.set_default_dtype(before)


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "json", threads=1)
    parser.add_argument("--shared", type=Path, default=_cli.ROOT.parent / "shared")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = compare(open_vectors(given.shared))
    about = {"machine": devices.describe(), "git": artifacts.git_revision()}
    artifacts.write_json(given.to, rounded(found | about))
    for row in found["networks"]:
        print(", ".join(f"{k}: {v:.1e}" if isinstance(v, float) else v for k, v in row.items()))


if __name__ == "__main__":
    sys.exit(main())
