"""The template of everybody's surface: a light mesh with its shapes, its skinning weights and its rest pose.

Made once from MakeHuman's assets into a safetensors file. Rest coordinates are those of the skeleton's ground:
m, x forward, y up, z to the right.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import fast_simplification
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.kinematics import Pose, Skeleton
from d3ke_lib.data.people.makehuman import MakeHuman, centres

AGES, SEXES, LEVELS = ("young", "old"), ("female", "male"), ("min", "average", "max")
ANCESTRIES = ("african", "asian", "caucasian")
# Opposite targets that change one length or width each: fitted to a subject's scale factors.
LENGTHS = (
    "arms/measure-upperarm-length", "arms/measure-lowerarm-length",
    "legs/measure-upperleg-height", "legs/measure-lowerleg-height",
    "torso/torso-scale-vert", "torso/torso-scale-depth", "torso/torso-scale-horiz", "torso/measure-shoulder-dist",
    "torso/measure-napetowaist-dist", "torso/measure-waisttohip-dist", "neck/neck-scale-vert",
    "neck/neck-trans-backward|forward", "hip/hip-scale-horiz", "hip/hip-scale-depth", "hip/hip-scale-vert",
    "head/head-scale-vert", "head/head-scale-horiz", "head/head-scale-depth", "head/head-trans-backward|forward",
    "feet/foot-scale",
)  # fmt: skip
# Joint of the skeleton → joint cube of the base mesh.
LIMBS = {"hip": "upper-leg", "knee": "knee", "ankle": "ankle", "mtp": "foot-1"}
JOINTS = {f"{ours}_{side}": f"{side}-{cube}" for side in "lr" for ours, cube in LIMBS.items()} | {
    "shoulder2": "r-shoulder", "shoulder2_l": "l-shoulder", "elbow": "r-elbow", "elbow_l": "l-elbow",
    "radiocarpal": "r-hand", "radiocarpal_l": "l-hand", "sternoclavicular": "r-clavicle",
    "sternoclavicular_l": "l-clavicle", "T1_head_neck": "neck", "C7_skull": "head",
}  # fmt: skip
# Bone of the base mesh (a beginning of its name, without side) → body of the skeleton.
BODIES = {
    "root": "pelvis", "pelvis": "pelvis", "spine05": "lumbar4", "spine04": "lumbar2", "spine03": "thoracic12",
    "spine02": "thoracic9", "breast": "thoracic9", "spine01": "thoracic3", "neck01": "cerv6", "neck02": "cerv4",
    "neck03": "cerv2", "clavicle": "clavicle", "shoulder01": "scapula", "upperarm": "humerus",
    "lowerarm01": "ulna", "lowerarm02": "radius", "wrist": "radius", "metacarpal": "radius", "finger": "radius",
    "upperleg": "femur", "lowerleg": "tibia", "foot": "calcn", "toe": "toes",
}  # fmt: skip
SIDED = {"femur": "_r", "tibia": "_r", "calcn": "_r", "toes": "_r"}  # the others write the right side without
# Triangles of each part, and how much finer (or coarser) a region is kept than the rest.
BUDGET = {"body": 3400, "helper-hair": 260, "helper-skirt": 240}
DETAIL = {"skull": 1.9, "radius": 0.5, "toes": 0.15, "calcn": 0.5}
PARTS = tuple(BUDGET)
BLENDED = 4  # bodies that move one vertex, at most


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
    universal = [f"universal-{s}-{a}-{m}muscle-{w}weight" for s in SEXES for a in AGES for m in LEVELS for w in LEVELS]
    ancestry = [f"{r}-{s}-{a}" for r in ANCESTRIES for s in SEXES for a in AGES]
    middle = [f"{s}-{a}-averagemuscle-averageweight" for s in SEXES for a in AGES]
    height = [f"height/{name}-{h}height" for name in middle for h in ("min", "max")]
    return tuple(f"macrodetails/{name}" for name in (*universal, *ancestry, *height)) + LENGTHS


def shape_of(source: MakeHuman, name: str) -> Float[np.ndarray, "vertex 3"]:
    """A target's offsets; of opposite targets half their difference, of a pair of sides their sum."""
    if name not in LENGTHS:
        return source.target(name)
    stem, _, other = name.partition("|")
    if other:
        ends = (stem, f"{stem.rpartition('-')[0]}-{other}")
    else:
        ends = (f"{stem}-decr", f"{stem}-incr")
    folder, _, _ = stem.partition("/")
    sides = ("l-", "r-") if folder == "feet" else ("",)
    low, high = (sum(source.target(end.replace("/", f"/{side}")) for side in sides) for end in ends)
    return (high - low) / 2


def make_template(source: MakeHuman, skeleton: Skeleton) -> Template:
    """From the assets; half a minute. `skeleton`: our own body, float64."""
    names = shape_names()
    kept, triangles, part = lighten(source, reference_of(source))
    shapes = np.stack([shape_of(source, name) for name in names])
    to_joints, to_landmarks = centres(source, JOINTS.values()), centres(source, LANDMARKS)
    reference = torch.from_numpy(reference_of(source))
    rest, surface_markers = fit_rest(source, skeleton, reference)
    # The vertex under each marker is kept whether a triangle needs it or not.
    under = torch.cdist(surface_markers, reference[: len_body(source)]).argmin(1).numpy()
    kept = np.concatenate([kept, under])
    body, weight = blend(source, skeleton, kept)
    return Template(
        torch.from_numpy(source.vertices[kept]),
        torch.from_numpy(shapes[:, kept]),
        torch.from_numpy(to_joints @ source.vertices),
        torch.from_numpy(to_joints @ shapes),
        torch.from_numpy(triangles),
        torch.from_numpy(part),
        body,
        weight,
        torch.from_numpy(to_landmarks) @ reference,
        torch.arange(len(kept) - len(under), len(kept)),
        rest.angles,
        rest.R_ground_root,
    )


LANDMARKS = ("l-eye", "r-eye", "mouth", "head", "head-2", "neck", "jaw", "pelvis", "spine-1", "spine-4")


def len_body(source: MakeHuman) -> int:
    return len(source.groups["body"])


def reference_of(source: MakeHuman) -> Float[np.ndarray, "vertex 3"]:
    """The person in the middle: young, neither female nor male, of all ancestries, average in all else."""
    mean = {f"macrodetails/universal-{s}-young-averagemuscle-averageweight": 1 / 2 for s in SEXES}
    mean |= {f"macrodetails/{r}-{s}-young": 1 / 6 for r in ANCESTRIES for s in SEXES}
    return source.vertices + sum(share * source.target(name) for name, share in mean.items())


# --- a lighter mesh ---------------------------------------------------------------------------------------


def lighten(
    source: MakeHuman, vertices: Float[np.ndarray, "vertex 3"]
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, "triangle 3"], Int[np.ndarray, " triangle"]]:
    """Which vertices are kept, the triangles between them (numbered among the kept), each one's part.

    Edges are collapsed by their quadric error; of the vertices that become one, that nearest to it stays, so that
    all shapes and weights are those of the original. Where DETAIL is above 1 errors count more.
    """
    kept, triangles, part = [], [], []
    detail = detailed(source, vertices)
    for number, (group, budget) in enumerate(BUDGET.items()):
        members = np.unique(all_triangles := source.triangles(group))
        numbered = np.searchsorted(members, all_triangles).astype(np.int32)
        points = detail[members].astype(np.float32)
        *_, collapses = fast_simplification.simplify(points, numbered, target_count=budget, return_collapses=True)
        merged, faces, target = fast_simplification.replay_simplification(points, numbered, collapses)
        order = np.lexsort((np.linalg.norm(points - merged[target], axis=1), target))
        first = order[np.r_[True, np.diff(target[order]) > 0]]
        triangles.append(faces + sum(map(len, kept)))
        kept.append(members[first])
        part.append(np.full(len(faces), number))
    return np.concatenate(kept), np.concatenate(triangles).astype(np.int64), np.concatenate(part)


def detailed(source: MakeHuman, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
    """Every region with a DETAIL of its own grown or shrunk about its middle, left and right apart."""
    region = dominant_bodies(source)
    grown = vertices.copy()
    for body, factor in DETAIL.items():
        for side in (vertices[:, 2] > 0, vertices[:, 2] <= 0) if body != "skull" else (True,):
            chosen = (region == body) & side
            chosen[len_body(source) :] = False
            middle = vertices[chosen].mean(0)
            grown[chosen] = middle + factor * (vertices[chosen] - middle)
    return grown


# --- skinning ---------------------------------------------------------------------------------------------


def body_of(bone: str) -> str:
    """The skeleton's body that carries a bone; the face's bones are on the skull. Right sides have no suffix."""
    stem = bone.partition(".")[0]
    found = [body for start, body in BODIES.items() if stem.startswith(start)]
    return found[0] if found else "skull"


def with_side(body: str, bone: str) -> str:
    side = bone.partition(".")[2]
    if body in ("clavicle", "scapula", "humerus", "ulna", "radius", *SIDED):
        return f"{body}_l" if side == "L" else body + SIDED.get(body, "")
    return body


def dense_weights(source: MakeHuman) -> dict[str, Float[np.ndarray, " vertex"]]:
    found: dict[str, np.ndarray] = {}
    for bone, pairs in source.weights.items():
        column = found.setdefault(with_side(body_of(bone), bone), np.zeros(len(source.vertices)))
        for vertex, weight in pairs:
            column[vertex] += weight
    return found


def dominant_bodies(source: MakeHuman) -> np.ndarray:
    """Name of the body with the largest weight at every vertex, without its side."""
    columns = dense_weights(source)
    names = np.array([name.removesuffix("_l").removesuffix("_r") for name in columns])
    return names[np.stack(list(columns.values())).argmax(0)]


def blend(
    source: MakeHuman, skeleton: Skeleton, kept: Int[np.ndarray, " kept"]
) -> tuple[Int[Tensor, "kept blended"], Float[Tensor, "kept blended"]]:
    """The bodies that move each vertex, and how much: the largest weights, summing to 1."""
    columns = dense_weights(source)
    every = torch.from_numpy(np.stack(list(columns.values()), 1)[kept])
    numbers = torch.tensor([skeleton.bodies.index(name) for name in columns])
    weight, order = every.topk(BLENDED, dim=1)
    return numbers[order], weight / weight.sum(1, keepdim=True)


# --- the pose in which the mesh is modelled ---------------------------------------------------------------

INSIDE = frozenset(
    ["ROOT", "HEAD", "NECK", "Spine1", "Spine2", "Spine3"]
    + [f"{side}{name}" for side in "LR" for name in ("HIPJ", "KJC", "AJC", "FOOT", "COL", "SHOULDER", "ELC", "WRIST")]
)  # fmt: skip
ROUNDS, STEPS = 8, 200


def surface_numbers(skeleton: Skeleton) -> list[int]:
    """Markers on the skin: all but the joint centres among D3KE's."""
    return [i for i, name in enumerate(skeleton.markers) if name not in INSIDE]


def fit_rest(
    source: MakeHuman, skeleton: Skeleton, reference: Float[Tensor, "vertex 3"]
) -> tuple[Pose, Float[Tensor, "marker 3"]]:
    """The skeleton's pose (and sizes) in which its joints are the mesh's and its markers on the mesh's surface.

    Least squares by L-BFGS, the nearest surface point of every marker renewed in each round. Returns the pose,
    rounded to 1e-4 rad so that every processor gives the same, and where the markers are.
    """
    joints = torch.from_numpy(centres(source, JOINTS.values())) @ reference
    knuckles = torch.from_numpy(centres(source, [f"{s}-finger-{k}-1" for s in "lr" for k in (2, 5)])) @ reference
    thumbwards = torch.nn.functional.normalize(knuckles[0::2] - knuckles[1::2], dim=-1)
    skin, inner = reference[: len_body(source)], [skeleton.joints.index(name) for name in JOINTS]
    outer = surface_numbers(skeleton)
    wrists = [[skeleton.markers.index(f"{s}{w}WR") for s in "LR"] for w in "IO"]
    limbs = ("hip", "knee", "ankle", "subt", "mtp", "elv", "shoulder", "elbow", "pro_sup")
    stiff = torch.tensor([0.002 if name.startswith(limbs) else 0.05 for name in skeleton.coordinates])
    free = {
        "angles": torch.zeros(len(skeleton.coordinates), dtype=torch.float64, requires_grad=True),
        "sizes": torch.zeros_like(skeleton.scale_middle, requires_grad=True),
        "shift": (joints.mean(0) * torch.tensor([1.0, 1.0, 0.0])).clone().requires_grad_(True),
        "pitch": torch.zeros((), dtype=torch.float64, requires_grad=True),
    }

    def posed() -> tuple[Pose, Tensor, Tensor]:
        c, s, o = free["pitch"].cos(), free["pitch"].sin(), torch.zeros((), dtype=torch.float64)
        R = torch.stack([torch.stack([c, -s, o]), torch.stack([s, c, o]), torch.stack([o, o, o + 1])])
        angles = torch.minimum(torch.maximum(free["angles"], skeleton.ranges[:, 0]), skeleton.ranges[:, 1])
        pose = Pose(angles, skeleton.spread_scales(skeleton.scale_middle + free["sizes"]), R)
        points = skeleton(pose)
        return pose, points.joints + free["shift"], points.markers + free["shift"]

    def error(nearest: Tensor | None) -> Tensor:
        _, found, markers = posed()
        across = torch.nn.functional.normalize(markers[wrists[0]] - markers[wrists[1]], dim=-1)
        total = 1e3 * (found[inner] - joints).square().sum() + 0.5 * (1 - (across * thumbwards).sum(-1)).sum()
        total = total + (stiff * free["angles"].square()).sum() + 0.3 * free["sizes"].square().sum()
        return total if nearest is None else total + 200 * (markers[outer] - nearest).square().sum()

    for number in range(ROUNDS):
        with torch.no_grad():
            markers = posed()[2][outer]
            nearest = skin[torch.cdist(markers, skin).argmin(1)] if number else None
        optimizer = torch.optim.LBFGS(list(free.values()), max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = error(nearest)  # noqa: B023  (called within this round)
            loss.backward()
            return loss

        optimizer.step(closure)
    with torch.no_grad():
        pose, _, markers = posed()
    return Pose(*((value * 1e4).round() / 1e4 for value in pose)), markers


# --- on disk ----------------------------------------------------------------------------------------------


def as_tensors(template: Template) -> Mapping[str, Tensor]:
    """What a file of it holds: integers and float32."""
    return {
        name: (value.float() if value.is_floating_point() and name not in ("rest_angles", "rest_rotation") else value).contiguous()
        for name, value in template._asdict().items()
    }


def load_template(path: Path) -> Template:
    from safetensors.torch import load_file

    found = load_file(path)
    return Template(**{name: found[name].double() if found[name].is_floating_point() else found[name] for name in Template._fields})
