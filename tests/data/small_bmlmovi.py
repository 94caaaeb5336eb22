"""A very small BMLmovi in the published formats, for tests of reading: a stiff doll, grey videos.

Subject N's video frame i is plain grey of level 14·i + N, so that a crop tells which frame it was cut from.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import scipy.io
import torch

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.bmlmovi import smplh
from d3ke_lib.data.bmlmovi.points import _JOINTS, VERTICES

RANGES = ((3, 9), (11, 16))  # of flags30: counted from 1, the last included
FRAMES = 18  # of the video
# Body of the doll's markers → joint of SMPL-H that carries it.
CARRIER = {"pelvis": 0, "femur_l": 1, "femur_r": 2, "tibia_l": 4, "tibia_r": 5, "talus_l": 7, "talus_r": 8}
CARRIER |= {
    "calcn_l": 7,
    "calcn_r": 8,
    "toes_l": 10,
    "toes_r": 11,
    "thorax": 9,
    "clavicle_l": 13,
    "clavicle": 14,
}
CARRIER |= {"scapula_l": 13, "scapula": 14, "humerus_l": 16, "humerus": 17, "head_neck": 12, "skull": 15}
CARRIER |= {"ulna_l": 18, "ulna": 19, "radius_l": 18, "radius": 19, "lumbar5": 0, "lumbar3": 3}
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


def fingers(wrist: int, first: int) -> list[int]:
    """Parents of five fingers of three joints."""
    return [wrist if joint % 3 == 0 else first + joint - 1 for joint in range(15)]


def t_pose() -> dict[str, np.ndarray]:
    """Our body's markers with its arms spread: y up, facing +z, m from the pelvis."""
    whole = Skeleton(default_skeleton().body).double()
    angles = torch.zeros(len(whole.coordinates), dtype=torch.float64)
    for name in ("shoulder_elv", "shoulder_elv_l"):
        angles[whole.coordinates.index(name)] = np.pi / 2
    markers = whole(Pose(angles, whole.generic_scales)).markers.numpy()
    markers = markers - markers[whole.markers.index("ROOT")]
    turned = np.stack([-markers[:, 2], markers[:, 1], markers[:, 0]], -1)
    return dict(zip(whole.markers, turned, strict=True))


def write_model(path: Path, sex: str = "male") -> Path:
    """A doll of 6,890 vertices; betas[0] makes it taller, women are 6 % smaller."""
    places = t_pose()
    body = {m.name: m.body for m in default_skeleton().body.markers}
    size = 1.0 if sex == "male" else 0.94
    template = np.tile(places["STRN"], (smplh._VERTICES, 1))
    weights = np.zeros((smplh._VERTICES, smplh._JOINTS))
    weights[:, 9] = 1
    for name, vertex in VERTICES.items():
        if name in places:
            template[vertex] = places[name]
            weights[vertex] = np.eye(smplh._JOINTS)[CARRIER.get(body[name], 6)]
    regressor = np.zeros((smplh._JOINTS, smplh._VERTICES))
    for name, joint in _JOINTS.items():  # each joint is a vertex of its own, below 52
        template[joint] = places.get(name, places["LWRIST" if "left" in name else "RWRIST"])
        regressor[joint, joint] = 1
    template *= size
    shapes = np.zeros((smplh._VERTICES, 3, smplh.BETAS))
    shapes[:, :, 0] = 0.05 * template
    parents = [*PARENTS, *fingers(20, 22), *fingers(21, 37)]
    arrays = {
        "v_template": template, "shapedirs": shapes, "weights": weights, "J_regressor": regressor,
        "posedirs": np.zeros((smplh._VERTICES, 3, 9 * 51), np.float32),
        "kintree_table": np.array([parents, range(smplh._JOINTS)], np.int64) % 2**32,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def write_fit(path: Path, frames: int, sex: str = "male", **changes: object) -> Path:
    """Standing upright in AMASS' world (z up), one arm going down."""
    poses = np.zeros((frames, smplh.POSE))
    poses[:, 0] = np.pi / 2
    poses[:, 3 * 16 + 2] = -np.linspace(0.2, 0.9, frames)
    values = {
        "poses": poses, "betas": np.full(16, 0.1), "trans": np.tile([0.0, 0.0, 0.9], (frames, 1)),
        "gender": np.array(sex), "mocap_framerate": np.array(120.0), "dmpls": np.zeros((frames, 8)),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(values | changes))
    return path


def write_ranges(path: Path, subject: int, sex: str = "male", flags: Sequence = RANGES) -> Path:
    """As published: `move` is a cell of one."""
    cell = np.empty((1, 1), object)
    names = np.array([f"action {k}" for k in range(1, len(flags) + 1)], object)
    cell[0, 0] = {"flags30": np.array(flags, float), "motions_list": names}
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {f"Subject_{subject}_F": {"subject": {"sex": sex}, "move": cell}})
    return path


def write_video(path: Path, levels: Sequence[int], size: tuple[int, int] = (800, 600), fps: int = 30) -> Path:
    """Plain grey frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"qscale": "2"}
        for level in levels:
            frame = np.full((size[1], size[0], 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_subject(raw: Path, subject: int, sex: str = "male") -> None:
    for camera in ("PG1", "PG2"):
        levels = [14 * i + subject for i in range(FRAMES)]
        write_video(raw / f"BMLmovi/videos/F_{camera}_Subject_{subject}_L.avi", levels)
    write_ranges(raw / f"BMLmovi/v3d/F_v3d_Subject_{subject}.mat", subject, sex)
    folder = raw / f"AMASS/BMLmovi/Subject_{subject}_F_MoSh"
    for k, (first, last) in enumerate(RANGES, 1):
        write_fit(folder / f"Subject_{subject}_F_{k}_poses.npz", 4 * (last - first + 1), sex)


def write(raw: Path, subjects: dict[int, str]) -> Path:
    """A folder as RAW for subjects → sex, and both models."""
    for sex in ("male", "female"):
        write_model(raw / f"smplh/{sex}/model.npz", sex)
    for subject, sex in subjects.items():
        write_subject(raw, subject, sex)
    return raw
