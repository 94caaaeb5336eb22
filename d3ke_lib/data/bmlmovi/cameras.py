"""The published camera parameters compared with D3KE's calibration, which is the one that is used.

Published (MATLAB's convention, rows, mm): x_camera = X · rotationMatrix + translationVector, pixels by the
transpose of IntrinsicMatrix, counted from 1. Their world is V3D's, x = −y and y = x of AMASS'.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch

from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError, Downloads
from d3ke_lib.data.bmlmovi.read import UNREADABLE
from d3ke_lib.data.camera import Camera, calibrated, project

_V3D_AMASS = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
_MAX_DISTANCE_PX = 10.0  # px: farther apart means another calibration


def compare_calibration(tree: Downloads, name: str) -> str:
    """How far the published calibration is from D3KE's, in one line. Raises BmlmoviError if damaged."""
    files = [tree.cameras.get((kind, name)) for kind in ("cameraParams", "Extrinsics")]
    if None in files:
        return f"{name}: no cameraParams and Extrinsics; D3KE's calibration is used"
    if unread := [path.name for path in files if path.suffix != ".npz"]:
        return f"{name}: {unread[0]} is for MATLAB (the .npz is read); D3KE's calibration is used"
    apart = _pixel_distance(_read_published(*files), calibrated(name, torch.float64))
    verdict = "agrees with" if apart < _MAX_DISTANCE_PX else "DIFFERS FROM"
    return f"{name}: the published calibration {verdict} D3KE's, which is used, by up to {apart:.1f} px"


def _read_published(intrinsic: Path, extrinsic: Path) -> Camera:
    """The camera of a pair of published .npz files, in AMASS' world, m. Raises BmlmoviError."""
    inside, outside = _npz(intrinsic), _npz(extrinsic)
    K = _matrix(intrinsic, inside, "IntrinsicMatrix", (3, 3)).T
    R = _matrix(extrinsic, outside, "rotationMatrix", (3, 3)).T
    t = _matrix(extrinsic, outside, "translationVector", (3,)) / 1e3
    radial = _matrix(intrinsic, inside, "RadialDistortion", (2,))
    values = (R @ np.array(_V3D_AMASS), t, K[[0, 1], [0, 1]], K[:2, 2] - 0.5, radial)
    return Camera(*(torch.from_numpy(np.ascontiguousarray(value, np.float64)) for value in values))


def _pixel_distance(one: Camera, other: Camera) -> float:
    """Largest distance (px) between both cameras' projections of points in 2 × 2 × 2 m about the origin."""
    side = torch.linspace(-1, 1, 5, dtype=torch.float64)
    room = torch.cartesian_prod(side, side, side + 1)
    return float((project(one, room) - project(other, room)).norm(dim=-1).max())


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (*UNREADABLE, zipfile.BadZipFile) as error:
        raise BmlmoviError(f"{path}: expected a complete .npz of plain arrays, found: {error}") from None


def _matrix(path: Path, values: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in values:
        raise BmlmoviError(f"{path}: expected {name}, found {', '.join(values) or 'none'}")
    found = np.squeeze(values[name]).astype(np.float64)
    if found.shape != shape:
        raise BmlmoviError(f"{path}: {name}: expected shape {shape}, found {found.shape}")
    return found
