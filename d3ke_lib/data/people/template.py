"""The template of everybody's surface: a light mesh with its shapes, its skinning weights and its rest pose.

Made once from MakeHuman's assets into a safetensors file. Rest coordinates are those of the skeleton's
ground: m, x forward, y up, z to the right.
"""

from pathlib import Path
from typing import Any, NamedTuple

import fast_simplification
import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.data.people.correspondence import BODIES, JOINTS, SIDED
from d3ke_lib.data.people.makehuman import MakeHuman, centres, open_makehuman
from d3ke_lib.data.people.rest_pose import fit_rest_pose, load_rest_pose
from d3ke_lib.files import D3keError, locked, replacing, sha256, write_text

FILE = "people.safetensors"
AGES, SEXES, LEVELS = ("young", "old"), ("female", "male"), ("min", "average", "max")
ANCESTRIES = ("african", "asian", "caucasian")
# Opposite targets that change one length or width each: fitted to a subject's scale factors.
LENGTHS = (
    "arms/measure-upperarm-length", "arms/measure-lowerarm-length",
    "legs/measure-upperleg-height", "legs/measure-lowerleg-height",
    "torso/torso-scale-vert", "torso/torso-scale-depth", "torso/torso-scale-horiz",
    "torso/measure-shoulder-dist",
    "torso/measure-napetowaist-dist", "torso/measure-waisttohip-dist", "neck/neck-scale-vert",
    "neck/neck-trans-backward|forward", "hip/hip-scale-horiz", "hip/hip-scale-depth", "hip/hip-scale-vert",
    "head/head-scale-vert", "head/head-scale-horiz", "head/head-scale-depth",
    "head/head-trans-backward|forward",
    "feet/foot-scale",
)  # fmt: skip
# Triangles of each part, and how much finer (or coarser) a region is kept than the rest.
_BUDGET = {"body": 3400, "helper-hair": 260, "helper-skirt": 240}
_DETAIL = {"skull": 1.9, "radius": 0.5, "toes": 0.15, "calcn": 0.5}
PARTS = tuple(_BUDGET)
_BLENDED = 4  # bodies that move one vertex, at most


class Template(NamedTuple):
    """See the module. Shapes: offsets of every vertex at weight 1, in the order of `shape_names()`."""

    base: Float[Tensor, "vertex 3"]
    shapes: Float[Tensor, "shape vertex 3"]
    base_joints: Float[Tensor, "joint 3"]
    shape_joints: Float[Tensor, "shape joint 3"]
    triangles: Int[Tensor, "triangle 3"]
    part: Int[Tensor, " triangle"]
    body: Int[Tensor, "vertex blended"]  # numbers of the skeleton's bodies
    weight: Float[Tensor, "vertex blended"]
    landmarks: Float[Tensor, "landmark 3"]  # LANDMARKS on the base
    markers: Int[Tensor, " marker"]  # the vertex under each of the skeleton's markers
    rest_angles: Float[Tensor, " coord"]  # the pose in which the mesh is modelled
    rest_rotation: Float[Tensor, "3 3"]


def shape_names() -> tuple[str, ...]:
    """Names of targets, the opposite lengths last."""
    universal = [
        f"universal-{s}-{a}-{m}muscle-{w}weight" for s in SEXES for a in AGES for m in LEVELS for w in LEVELS
    ]
    ancestry = [f"{r}-{s}-{a}" for r in ANCESTRIES for s in SEXES for a in AGES]
    middle = [f"{s}-{a}-averagemuscle-averageweight" for s in SEXES for a in AGES]
    height = [f"height/{name}-{h}height" for name in middle for h in ("min", "max")]
    return tuple(f"macrodetails/{name}" for name in (*universal, *ancestry, *height)) + LENGTHS


def _shape_of(source: MakeHuman, name: str) -> Float[np.ndarray, "vertex 3"]:
    """A target's offsets; of opposite targets half their difference, of a pair of sides their sum."""
    if name not in LENGTHS:
        return source.target(name)
    stem, _, other = name.partition("|")
    ends = (stem, f"{stem.rpartition('-')[0]}-{other}") if other else (f"{stem}-decr", f"{stem}-incr")
    folder, _, _ = stem.partition("/")
    sides = ("l-", "r-") if folder == "feet" else ("",)
    low, high = (sum(source.target(end.replace("/", f"/{side}")) for side in sides) for end in ends)
    return (high - low) / 2


def fit_reference(source: MakeHuman, skeleton: Skeleton) -> dict[str, Any]:
    """The rest pose of the reference person, as `rest_pose.RECORDED` has it; seconds."""
    _, middle = _shapes_and_reference(source)
    return fit_rest_pose(source, skeleton, torch.from_numpy(middle), torch.arange(_len_body(source)))


def _shapes_and_reference(source: MakeHuman) -> tuple[np.ndarray, Float[np.ndarray, "vertex 3"]]:
    """Offsets of all shapes, and the vertices of the person in the middle."""
    shapes = np.stack([_shape_of(source, name) for name in shape_names()])
    # Products are summed one after the other: a matrix product's order depends on the processor.
    weighted = (w * shape for w, shape in zip(reference_weights().tolist(), shapes) if w)
    return shapes, source.vertices + sum(weighted)


def _make_template(source: MakeHuman, skeleton: Skeleton) -> Template:
    """From the assets; seconds. `skeleton`: our own body, float64."""
    shapes, middle = _shapes_and_reference(source)
    kept, triangles, part = _lighten(source, middle)
    reference = torch.from_numpy(middle)
    skin = torch.arange(_len_body(source))
    rest, surface_markers = load_rest_pose(source, skeleton, reference)
    # The vertex under each marker is kept whether a triangle needs it or not.
    under = torch.cdist(surface_markers, reference[skin]).argmin(1).numpy()
    kept = np.concatenate([kept, under])
    body, weight = blend(source, skeleton, kept)
    return Template(
        torch.from_numpy(source.vertices[kept]),
        torch.from_numpy(shapes[:, kept]),
        torch.from_numpy(centres(source, JOINTS.values(), source.vertices)),
        torch.from_numpy(centres(source, JOINTS.values(), shapes)),
        torch.from_numpy(triangles),
        torch.from_numpy(part),
        body,
        weight,
        torch.from_numpy(centres(source, LANDMARKS, middle)),
        torch.arange(len(kept) - len(under), len(kept)),
        rest.angles,
        rest.R_ground_root,
    )


LANDMARKS = ("l-eye", "r-eye", "mouth", "head", "head-2", "neck", "jaw", "pelvis", "spine-1", "spine-4")


def _len_body(source: MakeHuman) -> int:
    return len(source.groups["body"])


def reference_weights() -> Float[Tensor, " shape"]:
    """The person in the middle: young, neither female nor male, of all ancestries, average in all else."""
    mean = {f"macrodetails/universal-{s}-young-averagemuscle-averageweight": 1 / 2 for s in SEXES}
    mean |= {f"macrodetails/{r}-{s}-young": 1 / 6 for r in ANCESTRIES for s in SEXES}
    return torch.tensor([mean.get(name, 0.0) for name in shape_names()], dtype=torch.float64)


# --- a lighter mesh ---------------------------------------------------------------------------------------


def _lighten(
    source: MakeHuman, vertices: Float[np.ndarray, "vertex 3"]
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, "triangle 3"], Int[np.ndarray, " triangle"]]:
    """Which vertices are kept, the triangles between them (numbered among the kept), each one's part.

    Edges are collapsed by their quadric error; of the vertices that become one, that nearest to it stays, so
    that all shapes and weights are those of the original. Where DETAIL is above 1 errors count more.
    """
    kept, triangles, part = [], [], []
    detail = _detailed(source, vertices)
    for number, (group, budget) in enumerate(_BUDGET.items()):
        members = np.unique(all_triangles := source.triangles(group))
        numbered = np.searchsorted(members, all_triangles).astype(np.int32)
        points = detail[members].astype(np.float32)
        *_, collapses = fast_simplification.simplify(
            points, numbered, target_count=budget, return_collapses=True
        )
        merged, faces, target = fast_simplification.replay_simplification(points, numbered, collapses)
        order = np.lexsort((np.linalg.norm(points - merged[target], axis=1), target))
        first = order[np.r_[True, np.diff(target[order]) > 0]]
        triangles.append(faces + sum(map(len, kept)))
        kept.append(members[first])
        part.append(np.full(len(faces), number))
    return np.concatenate(kept), np.concatenate(triangles).astype(np.int64), np.concatenate(part)


def _detailed(source: MakeHuman, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
    """Every region with a DETAIL of its own grown or shrunk about its middle, left and right apart."""
    region = _dominant_bodies(source)
    grown = vertices.copy()
    for body, factor in _DETAIL.items():
        for side in (vertices[:, 2] > 0, vertices[:, 2] <= 0) if body != "skull" else (True,):
            chosen = (region == body) & side
            chosen[_len_body(source) :] = False
            middle = vertices[chosen].mean(0)
            grown[chosen] = middle + factor * (vertices[chosen] - middle)
    return grown


# --- skinning ---------------------------------------------------------------------------------------------


def body_of(bone: str) -> str:
    """The skeleton's body that carries a bone, without its side; the face's bones are on the skull."""
    stem = bone.partition(".")[0]
    found = [body for start, body in BODIES.items() if stem.startswith(start)]
    return found[0] if found else "skull"


def _with_side(body: str, bone: str) -> str:
    side = bone.partition(".")[2]
    if body in ("clavicle", "scapula", "humerus", "ulna", "radius", *SIDED):
        return f"{body}_l" if side == "L" else body + SIDED.get(body, "")
    return body


def _dense_weights(source: MakeHuman) -> dict[str, Float[np.ndarray, " vertex"]]:
    found: dict[str, np.ndarray] = {}
    for bone, pairs in source.weights.items():
        column = found.setdefault(_with_side(body_of(bone), bone), np.zeros(len(source.vertices)))
        for vertex, weight in pairs:
            column[vertex] += weight
    return found


def _dominant_bodies(source: MakeHuman) -> np.ndarray:
    """Name of the body with the largest weight at every vertex, without its side."""
    columns = _dense_weights(source)
    names = np.array([name.removesuffix("_l").removesuffix("_r") for name in columns])
    return names[np.stack(list(columns.values())).argmax(0)]


def blend(
    source: MakeHuman, skeleton: Skeleton, kept: Int[np.ndarray, " kept"]
) -> tuple[Int[Tensor, "kept blended"], Float[Tensor, "kept blended"]]:
    """The bodies that move each vertex, and how much: the largest weights, summing to 1."""
    columns = _dense_weights(source)
    every = torch.from_numpy(np.stack(list(columns.values()), 1)[kept])
    numbers = torch.tensor([skeleton.bodies.index(name) for name in columns])
    weight, order = every.topk(_BLENDED, dim=1)
    return numbers[order], weight / weight.sum(1, keepdim=True)


# --- on disk ----------------------------------------------------------------------------------------------


def prepare_template(folder: Path, skeleton: Skeleton) -> Path:
    """The template's file in `folder`, made where absent (seconds, and a download of 48 MB).

    `skeleton`: our own body in float64. One process makes it, others wait. Raises D3keError naming a file
    that is not as it was made, with both hashes, and as `fetch_wheel`.
    """
    path, record = folder / FILE, folder / "people.sha256"
    if not (path.is_file() and record.is_file()):
        with locked(folder / "people.lock"):
            _write_template(path, record, skeleton)
    expected, found = record.read_text(encoding="utf-8"), sha256(path)
    if found != expected:
        raise D3keError(
            f"{path}: expected SHA-256 {expected}, found {found}; delete the file to make it anew"
        )
    return path


def _write_template(path: Path, record: Path, skeleton: Skeleton) -> None:
    if path.is_file() and record.is_file():
        return
    made = _make_template(open_makehuman(path.parent), skeleton)
    exact = ("rest_angles", "rest_rotation")
    tensors = {
        name: (value if name in exact or not value.is_floating_point() else value.float()).contiguous()
        for name, value in made._asdict().items()
    }
    with replacing(path) as partial:
        save_file(tensors, partial)
    write_text(record, sha256(path))


def load_template(path: Path) -> Template:
    """Raises D3keError naming a file that is absent or not whole."""
    try:
        found = load_file(path)
        return Template(**{name: _as_double(found[name]) for name in Template._fields})
    except (OSError, SafetensorError, KeyError) as error:
        raise D3keError(f"{path}: expected a template of people, found {error}; delete the file") from None


def _as_double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value
