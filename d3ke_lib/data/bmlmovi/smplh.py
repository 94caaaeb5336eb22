"""SMPL-H (Romero 2017): body shape, 52 joint rotations and a translation → surface and joints, batched.

Own linear blend skinning: the `smplx` package is no longer maintained and unpickles model files. Reads the
`.npz` that AMASS' authors offer (16 betas), and of it only what the computation needs. Axes: in a pose of
zeros the body is in the T-pose, y up, facing +z; AMASS' poses rotate that into its world, z up.
"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor

_JOINTS, _VERTICES, BETAS = 52, 6890, 16
POSE = 3 * _JOINTS  # numbers of a pose: axis times angle of every joint
_FAMILY = {24: "SMPL", 52: "SMPL-H", 55: "SMPL-X", 16: "MANO", 21: "MANO"}  # by number of joints
_SHAPES = {
    "v_template": (_VERTICES, 3),
    "shapedirs": (_VERTICES, 3, BETAS),
    "posedirs": (_VERTICES, 3, 9 * (_JOINTS - 1)),
    "weights": (_VERTICES, _JOINTS),
    "J_regressor": (_JOINTS, _VERTICES),
    "kintree_table": (2, _JOINTS),
}


class SmplhError(ValueError):
    """A model file or its input is not SMPL-H's; the message names the file, what was expected and found."""


class SmplhModel(NamedTuple):
    """A model of one sex, perhaps only some of its vertices; float64."""

    source: Path
    template: Float[Tensor, "vertex 3"]  # m
    shape: Float[Tensor, "vertex 3 beta"]
    corrective: Float[Tensor, "vertex 3 feature"]  # by entries of the 51 rotation matrices minus identity
    weights: Float[Tensor, "vertex joint"]
    joint_template: Float[Tensor, "joint 3"]
    joint_shape: Float[Tensor, "joint 3 beta"]
    parents: tuple[int, ...]  # −1 for the first


def load_model(path: Path) -> SmplhModel:
    """Read a `model.npz`. Nothing is unpickled.

    Raises SmplhError: no such file, cut short, another model of the family (SMPL, SMPL-X), another number
    of betas, values that are not finite.
    """
    arrays = _read_arrays(path)
    regressor = arrays["J_regressor"]
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return SmplhModel(
        source=path,
        template=tensors["v_template"],
        shape=tensors["shapedirs"],
        corrective=tensors["posedirs"],
        weights=tensors["weights"],
        joint_template=torch.from_numpy(regressor @ arrays["v_template"]),
        joint_shape=torch.from_numpy(np.einsum("jv,vcb->jcb", regressor, arrays["shapedirs"], optimize=True)),
        parents=_read_parents(path, arrays["kintree_table"]),
    )


def keep_vertices(model: SmplhModel, vertices: Sequence[int]) -> SmplhModel:
    """The model with these vertices alone, in this order; all joints stay."""
    parts = ("template", "shape", "corrective", "weights")
    return model._replace(**{name: getattr(model, name)[list(vertices)] for name in parts})


def pose_zero(
    model: SmplhModel, betas: Float[Tensor, " beta"]
) -> tuple[Float[Tensor, "vertex 3"], Float[Tensor, "joint 3"]]:
    """Vertices and joints of a pose of zeros: y up, arms spread, facing +z."""
    zeros = model.template.new_zeros(POSE + 3)
    return pose_model(model, betas, zeros[:POSE], zeros[POSE:])


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise SmplhError(f"{path}: expected an SMPL-H model, found no file")
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [name for name in _SHAPES if name not in file.files]:
                raise SmplhError(f"{path}: expected {', '.join(_SHAPES)}; missing {', '.join(missing)}")
            _check_family(path, file["weights"].shape)
            arrays = {name: file[name] for name in _SHAPES}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        size = path.stat().st_size
        raise SmplhError(f"{path}: expected a whole .npz, found {size} bytes ({error})") from None
    except ValueError as error:
        if isinstance(error, SmplhError):
            raise
        raise SmplhError(f"{path}: expected plain arrays, found: {error}") from None
    for name, shape in _SHAPES.items():
        _check(path, name, arrays[name], shape)
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def _check_family(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) == 2 and shape[1] != _JOINTS and shape[1] in _FAMILY:
        found = f"{_FAMILY[shape[1]]} with {shape[1]}"
        raise SmplhError(f"{path}: expected an SMPL-H model with {_JOINTS} joints, found {found} joints")


def _check(path: Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        betas = f" ({BETAS} betas)" if name == "shapedirs" else ""
        raise SmplhError(f"{path}: {name}: expected shape {shape}{betas}, found {array.shape}")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise SmplhError(
            f"{path}: {name}: expected finite numbers, found {array.dtype} with infinite or NaN values"
        )


def _read_parents(path: Path, table: np.ndarray) -> tuple[int, ...]:
    """The first joint's parent is written as 2³² − 1; whatever it is, it has none."""
    parents = (-1, *(int(parent) for parent in table[0, 1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
        raise SmplhError(f"{path}: kintree_table: expected parents before their children, found {parents}")
    return parents


# -- use ---------------------------------------------------------------------------------------------------


def pose_model(
    model: SmplhModel,
    betas: Float[Tensor, " beta"],
    poses: Float[Tensor, "*batch axis_angle"],
    trans: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch vertex 3"], Float[Tensor, "*batch joint 3"]]:
    """The model's vertices and joints, m. `poses`: 52 × 3 numbers, axis times angle (rad).

    Raises SmplhError for another number of betas or of pose values.
    """
    _check_input(model, betas, poses)
    betas, poses, trans = (value.to(model.template) for value in (betas, poses, trans))
    R = roma.rotvec_to_rotmat(poses.unflatten(-1, (_JOINTS, 3)))
    joints = model.joint_template + model.joint_shape @ betas
    R_world, p_world = _chain(R, joints, model.parents)
    feature = (R[..., 1:, :, :] - torch.eye(3).to(R)).flatten(-3)
    shaped = model.template + model.shape @ betas
    posed = shaped + torch.einsum("vcf,...f->...vc", model.corrective, feature)
    R_vertex = torch.einsum("vj,...jab->...vab", model.weights, R_world)
    t_vertex = torch.einsum(
        "vj,...ja->...va", model.weights, p_world - (R_world @ joints[:, :, None])[..., 0]
    )
    vertices = (R_vertex @ posed[..., None])[..., 0] + t_vertex
    return vertices + trans[..., None, :], p_world + trans[..., None, :]


def _check_input(model: SmplhModel, betas: Tensor, poses: Tensor) -> None:
    if len(betas) != model.shape.shape[-1]:
        expected = model.shape.shape[-1]
        raise SmplhError(f"{model.source}: expected {expected} betas, found {len(betas)}")
    if poses.shape[-1] != POSE:
        known = {3 * count: name for count, name in _FAMILY.items()}
        kind = f" ({known[poses.shape[-1]]})" if poses.shape[-1] in known else ""
        raise SmplhError(
            f"{model.source}: expected {POSE} pose values per frame (SMPL-H), found {poses.shape[-1]}{kind}"
        )


def _chain(
    R: Float[Tensor, "*batch joint 3 3"], joints: Float[Tensor, "joint 3"], parents: tuple[int, ...]
) -> tuple[Float[Tensor, "*batch joint 3 3"], Float[Tensor, "*batch joint 3"]]:
    """Rotation and position of every joint in the world, from the pelvis outwards."""
    rotations = [R[..., 0, :, :]]
    positions = [joints[0].expand(*R.shape[:-3], 3)]
    for joint, parent in enumerate(parents[1:], 1):
        bone = joints[joint] - joints[parent]
        rotations.append(rotations[parent] @ R[..., joint, :, :])
        positions.append(positions[parent] + rotations[parent] @ bone)
    return torch.stack(rotations, -3), torch.stack(positions, -2)
