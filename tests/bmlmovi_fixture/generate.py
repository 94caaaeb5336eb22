"""A small BMLmovi in the published formats, of synthetic subjects: downloads whose ground truth is known.

    RAW/BMLmovi/videos/F_PG1_Subject_1_L.avi                 800 × 600, 30 Hz
    RAW/BMLmovi/v3d/F_v3d_Subject_1.mat                      Subject_1_F → move → flags30
    RAW/AMASS/BMLmovi/Subject_1_F_MoSh/Subject_1_F_1_poses.npz    120 Hz
    RAW/smplh/{male,female,neutral}/model.npz                our own body in SMPL-H's format
    RAW/truth/subject_1_1.npz                                what went in: nothing that is published

The same configuration gives the same bytes.
"""

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import scipy.io
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from bmlmovi_fixture import smplh_body as smplh
from bmlmovi_fixture.clothes import draw_appearance, paint_body
from bmlmovi_fixture.motions import representable, smplh_place, smplh_poses
from bmlmovi_fixture.raytrace import Shading, render
from bmlmovi_fixture.shading import Paint
from d3ke_lib import files
from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.batch import apply
from d3ke_lib.data.camera import calibrated
from d3ke_lib.data.renderer.appearance import draw_light, draw_room
from d3ke_lib.data.renderer.body_surface import BodySurface, Cones, load_surface, pose_surface
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import motion, scene

VIDEO_HZ, MOCAP_HZ = 30, 120
STEP = MOCAP_HZ // VIDEO_HZ
SOFTNESS = 0.003  # m, of a soft minimum: the pelvis moves smoothly when another point becomes the lowest
BETAS = 5  # a stream of random numbers next to those of scene.py
MAT_HEADER = b"MATLAB 5.0 MAT-file, written by bmlmovi_fixture.generate".ljust(116)
SEXES = ("female", "male")  # of odd and of even subjects: two in three of BMLmovi's are women


@dataclass(frozen=True)
class FixtureConfig:
    """What to make. Raises ValueError for unknown names and numbers out of range."""

    seed: int = 0
    subjects: tuple[int, ...] = (1, 2)
    cameras: tuple[str, ...] = ("PG1",)
    motions: tuple[str, ...] = ("jogging", "jumping_jacks")
    frames: int = 20  # of the video, of each motion
    between: int = 2  # frames before, between and after motions that belong to none
    betas: float = 0.5  # standard deviation of the shape parameters

    def __post_init__(self) -> None:
        if unknown := sorted({*self.motions} - {*motion.ACTIONS}):
            raise ValueError(f"FixtureConfig.motions: expected some of {motion.ACTIONS}, found {unknown}")
        if unknown := sorted({*self.cameras} - {*D3KE.cameras}):
            raise ValueError(f"FixtureConfig.cameras: expected some of {[*D3KE.cameras]}, found {unknown}")
        if min(self.frames, *self.subjects) < 1 or min(self.between, self.seed) < 0:
            raise ValueError(f"FixtureConfig: expected frames and subjects from 1 on, found {self}")


class Performer(NamedTuple):
    """What a subject's takes have in common."""

    scales: Float[Tensor, "body 3"]
    style: motion.Style
    surface: BodySurface
    paint: Paint


class Take(NamedTuple):
    """One subject's action over time, in the world."""

    pose: Pose  # R_ground_root = R_world_root
    points: Points
    cones: Cones


class Subject(NamedTuple):
    """A subject's shape and performer."""

    number: int
    sex: str
    betas: Float[np.ndarray, " beta"]
    performer: Performer


class Performance(NamedTuple):
    """One motion at 120 Hz; `first`: its first frame of the video (from 0)."""

    first: int
    take: Take
    root: Float[Tensor, "time 3"]  # our pelvis' origin in the world, m


def make(config: FixtureConfig, raw: Path) -> Path:
    """Write the folder `raw`; what is there of the same names is replaced."""
    for sex in ("male", "female", "neutral"):
        save(raw / "smplh" / sex / "model.npz", smplh.arrays(sex))
    for number in config.subjects:
        make_subject(config, raw, draw_subject(config, number))
    about = json.dumps(asdict(config), indent=1, sort_keys=True) + "\n"
    files.write_bytes(raw / "truth" / "config.json", about.encode())
    return raw


def draw_subject(config: FixtureConfig, number: int) -> Subject:
    sex = SEXES[(number + 1) % 2]
    draw = torch.randn(smplh.BETAS, generator=seed_generator(config.seed, number, BETAS), dtype=torch.float64)
    betas = (config.betas * draw.clamp(-2, 2)).numpy()
    appearance = draw_appearance(seed_generator(config.seed, number, scene.CLOTHES))
    style = motion.draw_style((config.seed, number, scene.STYLE))
    surface = load_surface()
    performer = Performer(smplh.scale_factors(sex, betas), style, surface, paint_body(surface, appearance))
    return Subject(number, sex, betas, performer)


def make_subject(config: FixtureConfig, raw: Path, subject: Subject) -> None:
    played = [perform(config, subject, k) for k in range(len(config.motions))]
    name = f"Subject_{subject.number}_F"
    folder = raw / "AMASS" / "BMLmovi" / f"{name}_MoSh"
    save(folder / "shape.npz", {"betas": subject.betas, "gender": np.array(subject.sex)})
    for k, performance in enumerate(played, 1):
        save(folder / f"{name}_{k}_poses.npz", fit(config, subject, performance))
        save(raw / "truth" / f"subject_{subject.number}_{k}.npz", truth(config, subject, performance))
    v3d = raw / "BMLmovi" / "v3d" / f"F_v3d_Subject_{subject.number}.mat"
    save_mat(v3d, {name: ranges(config, subject, played)})
    for camera in config.cameras:
        path = raw / "BMLmovi" / "videos" / f"F_{camera}_Subject_{subject.number}_L.avi"
        save_video(path, film(config, subject, played, camera))


# -- motion ------------------------------------------------------------------------------------------


def perform(config: FixtureConfig, subject: Subject, k: int) -> Performance:
    """Motion number k (from 0), from `between` frames of the video before it to as many after it."""
    action = config.motions[k]
    count = config.frames + 2 * config.between
    t = torch.arange(STEP * (count - 1) + 1, dtype=torch.float64) / MOCAP_HZ
    stream = (config.seed, subject.number, motion.ACTIONS.index(action), scene.TAKE)
    moved = motion.generate_motion(action, subject.performer.style, t, stream)
    moved = moved._replace(angles=representable(moved.angles, subject.performer.scales))
    take = put_on_floor(smplh.skeleton(), subject.performer, moved)
    root = take.points.joints[:, 0]
    return Performance(k * count + config.between, take, root)


def put_on_floor(skeleton: Skeleton, subject: Performer, moved: motion.Motion) -> Take:
    """The motion on the floor: the lowest point of the surface is `hop` (m) above it."""
    pose = Pose(moved.angles, subject.scales.expand(len(moved.hop), -1, -1), moved.R_world_root)
    cones = pose_surface(subject.surface, skeleton, pose, torch.zeros_like(moved.hop)[:, None].expand(-1, 3))
    bottom = torch.cat([cones.a[..., 2] - cones.ra, cones.b[..., 2] - cones.rb], -1)
    lowest = -SOFTNESS * torch.logsumexp(-bottom / SOFTNESS, -1)
    root = torch.cat([moved.xy, (moved.hop - lowest)[:, None]], -1)[:, None]
    points = Points(*(part + root for part in skeleton(pose)))
    ends = {"a": cones.a + root, "b": cones.b + root, "p_world_body": cones.p_world_body + root}
    return Take(pose, points, cones._replace(**ends))


def within(config: FixtureConfig, values: Any) -> Any:
    """What belongs to the motion itself: its first video frame to its last, at 120 Hz."""
    start = STEP * config.between
    return values[start : start + STEP * (config.frames - 1) + 1]


def truth(config: FixtureConfig, subject: Subject, performance: Performance) -> dict[str, np.ndarray]:
    """At 120 Hz; `video_frame`: number (from 0) of the frame taken at that time, −1 between two."""
    pose = apply(lambda part: within(config, part), performance.take.pose)
    number = torch.arange(len(pose.angles))
    shown = torch.where(number % STEP == 0, performance.first + number // STEP, -1)
    return {
        "angles": pose.angles.numpy(),
        "scales": subject.performer.scales.numpy(),
        "R_world_root": pose.R_ground_root.numpy(),
        "root": within(config, performance.root).numpy(),
        "video_frame": shown.numpy(),
        "coordinates": np.array(smplh.skeleton().coordinates),
        "bodies": np.array(smplh.skeleton().bodies),
    }


# -- published formats ---------------------------------------------------------------------------------------


def fit(config: FixtureConfig, subject: Subject, performance: Performance) -> dict[str, np.ndarray]:
    """One motion as AMASS publishes it."""
    pose = apply(lambda part: within(config, part), performance.take.pose)
    rest = torch.from_numpy(smplh.rest_joints(subject.sex, subject.betas)[0])
    return {
        "trans": smplh_place(pose, within(config, performance.root), rest).numpy(),
        "gender": np.array(subject.sex),
        "mocap_framerate": np.array(float(MOCAP_HZ)),
        "betas": subject.betas,
        "dmpls": np.zeros((len(pose.angles), 8)),
        "poses": smplh_poses(pose).numpy(),
    }


def ranges(config: FixtureConfig, subject: Subject, played: list[Performance]) -> dict[str, Any]:
    """A V3D record: frames are counted from 1, the last one belongs to the motion."""
    first = np.array([performance.first for performance in played], float)
    flags30 = np.stack([first + 1, first + config.frames], 1)
    names = np.empty((len(played), 1), object)
    names[:, 0] = config.motions
    return {
        "id": f"Subject_{subject.number}",
        "subject": {"id": f"Subject_{subject.number}", "sex": subject.sex},
        "move": {"motions_list": names, "flags30": flags30, "flags120": STEP * (flags30 - 1) + 1},
    }


def save(path: Path, values: dict[str, np.ndarray]) -> None:
    sink = io.BytesIO()
    np.savez_compressed(sink, **values)
    files.write_bytes(path, sink.getvalue())


def save_mat(path: Path, values: dict[str, Any]) -> None:
    sink = io.BytesIO()
    scipy.io.savemat(sink, values, long_field_names=True, oned_as="column", do_compression=True)
    # The header tells the time of day: the same content would not be the same bytes.
    files.write_bytes(path, MAT_HEADER + sink.getvalue()[len(MAT_HEADER) :])


def save_video(path: Path, frames: Iterable[UInt8[np.ndarray, "height width 3"]]) -> None:
    sink = io.BytesIO()
    with av.open(sink, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = None
        for frame in frames:
            stream = stream or video_stream(container, frame.shape[1], frame.shape[0])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    files.write_bytes(path, sink.getvalue())


def video_stream(container: av.container.OutputContainer, width: int, height: int) -> av.VideoStream:
    stream = container.add_stream("mjpeg", rate=Fraction(VIDEO_HZ))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
    stream.codec_context.qmin, stream.codec_context.qmax = 2, 3
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


# -- images ----------------------------------------------------------------------------------------------


def film(
    config: FixtureConfig, subject: Subject, played: list[Performance], name: str
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The whole recording by one camera, through its distortion: motions and what is between them."""
    room = seed_generator(config.seed, subject.number, scene.ROOM)
    shading = Shading(subject.performer.paint, draw_room(room), draw_light(room))
    width, height = D3KE.cameras[name].size
    camera = calibrated(name)
    for performance in played:
        shown = apply(lambda part: part[::STEP], performance.take.cones)
        for i in range(len(shown.ra)):
            cones = apply(lambda part, i=i: part[i : i + 1], shown)
            image = render(cones, shading, camera, height, width)[0]
            yield np.ascontiguousarray(image.permute(1, 2, 0).numpy())
