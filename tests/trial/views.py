"""Four synthetic cameras around a subject, written as Qualisys does, and the subject's landmarks in them."""

from pathlib import Path

import torch
from torch import Tensor

from d3ke_lib.body.pose import Pose
from d3ke_lib.experiment.trial.association import Views
from d3ke_lib.experiment.trial.calibration import CalibratedCamera, project
from d3ke_lib.experiment.trial.reference import reference_skeleton

FOCAL, CENTER = 1680.0, (540.0, 955.0)
RADIAL, TANGENTIAL = (-0.046, 0.14), (0.0006, -0.0007)
TARGET = torch.tensor([0.1, 1.0, -0.2], dtype=torch.float64)  # ground: y up
POSITIONS = torch.tensor(
    [[3.5, 1.6, 1.0], [1.5, 2.0, 3.5], [-3.5, 1.8, 0.5], [-0.5, 1.5, -4.0]], dtype=torch.float64
)
_ROOT = torch.tensor([0.1, 0.95, -0.2], dtype=torch.float64)


def write_calibration(path: Path) -> Path:
    """Cameras at POSITIONS, aimed at TARGET, upright."""
    cameras = "".join(_camera(f"cam{i}", place) for i, place in enumerate(POSITIONS, 1))
    path.write_text(f"<calibration><cameras>{cameras}</cameras></calibration>")
    return path


def _camera(name: str, place: Tensor) -> str:
    back = torch.nn.functional.normalize(place - TARGET, dim=0)
    right = torch.nn.functional.normalize(
        torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]).to(back), back), dim=0
    )
    rows = torch.stack([right, torch.linalg.cross(back, right), back])
    to_world = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    R, mm = rows @ to_world.T, 1e3 * to_world @ place  # the file's world has z up
    numbers = {f"r{i + 1}{j + 1}": float(R[i, j]) for i in range(3) for j in range(3)}
    numbers |= dict(zip("xyz", mm.tolist()))
    inner = {"focalLengthU": 64 * FOCAL, "focalLengthV": 64 * FOCAL}
    inner |= {"centerPointU": 64 * CENTER[0], "centerPointV": 64 * CENTER[1]}
    inner |= {"radialDistortion1": RADIAL[0], "radialDistortion2": RADIAL[1]}
    inner |= {"tangentalDistortion1": TANGENTIAL[0], "tangentalDistortion2": TANGENTIAL[1]}
    return (
        f'<camera serial="{name}"><fov_video left="0" right="1087" top="0" bottom="1919"/>'
        f"<transform {_attributes(numbers)}/><intrinsic {_attributes(inner)}/></camera>"
    )


def _attributes(numbers: dict[str, float]) -> str:
    return " ".join(f'{key}="{value:.12g}"' for key, value in numbers.items())


def motion(frames: int) -> tuple[Pose, Tensor]:
    """A pose per frame (hips, knees, ankles, elbows, shoulders move) and its 33 landmarks, m in ground."""
    skeleton = reference_skeleton()
    phase = torch.linspace(0, 3.0, frames, dtype=torch.float64)[:, None]
    angles = torch.zeros(frames, len(skeleton.coordinates), dtype=torch.float64)
    waves = {
        "hip_flexion_r": 0.5, "hip_flexion_l": -0.4, "hip_adduction_r": -0.2, "knee_angle_r": -0.6,
        "knee_angle_l": -0.5, "ankle_angle_r": 0.2, "ankle_angle_l": -0.2, "elbow_flexion": 0.7,
        "elbow_flexion_l": 0.6, "shoulder_elv": 0.7, "shoulder_elv_l": 0.5,
    }  # fmt: skip
    for i, (name, size) in enumerate(waves.items()):
        column = skeleton.coordinates.index(name)
        angles[:, column] = size * (1.2 + torch.sin(phase[:, 0] + i)) / 1.5
    pose = Pose(angles, skeleton.generic_scales.expand(frames, -1, 3))
    R = torch.eye(3, dtype=torch.float64).expand(frames, 3, 3)
    return pose, skeleton(pose._replace(R_ground_root=R)).markers + _ROOT


def look(cameras: tuple[CalibratedCamera, ...], points: Tensor, noise_px: float) -> Views:
    """The points as a detector with this noise would see them."""
    draws = torch.Generator().manual_seed(0)
    px = torch.stack([project(camera, points) for camera in cameras])
    px = px + noise_px * torch.randn(px.shape, generator=draws, dtype=torch.float64)
    return Views(px, px.isfinite().all(-1).double())
