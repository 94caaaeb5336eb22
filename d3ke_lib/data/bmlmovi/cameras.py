"""The published camera parameters beside D3KE's calibration, which is the one that is used.

Published (MATLAB's convention, rows, mm): x_camera = X · rotationMatrix + translationVector, pixels by the
transpose of IntrinsicMatrix, counted from 1. Their world is V3D's, x = −y and y = x of AMASS'.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch

from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, Tree
from d3ke_lib.data.bmlmovi.read import UNREADABLE
from d3ke_lib.data.camera import Camera, calibrated, project

V3D_AMASS = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
CLOSE = 10.0  # px: more is another calibration


def compare(tree: Tree, name: str) -> str:
    """What the published files say of a camera, in one line. Raises BmlmoviError for damaged ones."""
    files = [tree.cameras.get((kind, name)) for kind in ("cameraParams", "Extrinsics")]
    if None in files:
        return f"{name}: no cameraParams and Extrinsics; D3KE's calibration is used"
    if unread := [path.name for path in files if path.suffix != ".npz"]:
        return f"{name}: {unread[0]} is for MATLAB (the .npz is read); D3KE's calibration is used"
    apart = distance(published(*files), calibrated(name, torch.float64))
    verdict = "agrees with" if apart < CLOSE else "DIFFERS FROM"
    return f"{name}: the published calibration {verdict} D3KE's, which is used, by up to {apart:.1f} px"


def published(intrinsic: Path, extrinsic: Path) -> Camera:
    """The camera of a pair of published .npz files, in AMASS' world, m. Raises BmlmoviError."""
    inside, outside = _npz(intrinsic), _npz(extrinsic)
    K = _matrix(intrinsic, inside, "IntrinsicMatrix", (3, 3)).T
    R = _matrix(extrinsic, outside, "rotationMatrix", (3, 3)).T
    t = _matrix(extrinsic, outside, "translationVector", (3,)) / 1e3
    radial = _matrix(intrinsic, inside, "RadialDistortion", (2,))
    values = (R @ np.array(V3D_AMASS), t, K[[0, 1], [0, 1]], K[:2, 2] - 0.5, radial)
    return Camera(*(torch.from_numpy(np.ascontiguousarray(value, np.float64)) for value in values))


def distance(one: Camera, other: Camera) -> float:
    """Between the pictures of points in a room of 2 × 2 × 2 m about the origin, px: the largest."""
    side = torch.linspace(-1, 1, 5, dtype=torch.float64)
    room = torch.cartesian_prod(side, side, side + 1)
    return float((project(one, room) - project(other, room)).norm(dim=-1).max())


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (*UNREADABLE, zipfile.BadZipFile) as error:
        raise BmlmoviError(f"{path}: expected a whole .npz of plain arrays, found others ({error})") from None


def _matrix(path: Path, values: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in values:
        raise BmlmoviError(f"{path}: expected {name}, found {', '.join(values) or 'none'}")
    found = np.squeeze(values[name]).astype(np.float64)
    if found.shape != shape:
        raise BmlmoviError(f"{path}: {name}: expected shape {shape}, found {found.shape}")
    return found
