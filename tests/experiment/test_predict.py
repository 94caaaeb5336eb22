"""From a video to files that OpenSim opens, with networks whose answer is known."""

import csv
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from test_report import script
from torch import Tensor, nn

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.opensim.motion_files import read_mot, read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.data import video
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.video import VideoError
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.video import outputs, predict

PX = 64
FACING = torch.tensor(
    [[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]]
)  # pelvis axes in the camera's frame


class Oracle(nn.Module):
    """A frame network that sees the same person, facing it; the knee follows the picture's brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.skeleton = default_skeleton()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor) -> tuple[Pose, Points]:
        count = len(image)
        angles = torch.zeros(count, len(self.skeleton.coordinates))
        angles[:, self.skeleton.coordinates.index("knee_angle_r")] = -image.mean((1, 2, 3))
        scales = self.skeleton.generic_scales.expand(count, -1, 3)
        pose = Pose(angles, scales, FACING.expand(count, 3, 3))
        return pose, self.skeleton(pose)


class Middle(nn.Module):
    """A temporal network that answers with its window's middle frame as it is."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pose: Pose, points: Points) -> tuple[Pose, Points]:
        assert points.joints.shape[1] == self.window
        middle = slice(self.window // 2, self.window // 2 + 1)
        return Pose(*(part[:, middle] for part in pose)), Points(*(part[:, middle] for part in points))


@pytest.fixture
def nets() -> predict.Nets:
    refining = TemporalConfig(kind="tcn", window=9, batch=16)
    return predict.Nets(
        Oracle(), FrameConfig(px=PX, batch=8, weights=None), Middle(9), refining, 30.0, ("frame/oracle",)
    )


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Someone block-shaped crosses a noisy room and gets brighter."""
    rng = np.random.default_rng(0)
    room = rng.integers(60, 110, (180, 320, 3), dtype=np.uint8)
    frames = []
    for i in range(40):
        frame = room.copy()
        frame[60:160, 20 + 6 * i : 50 + 6 * i] = 150 + 2 * i
        frames.append(frame)
    return video.write(tmp_path / "walk.mp4", frames, 30.0)


def test_files_open_in_opensim_with_our_body(tmp_path: Path, nets: predict.Nets, walk: Path) -> None:
    found = predict.find(walk, nets)
    page = outputs.write_all(found, nets, tmp_path / "out" / "walk", "the person who moves most")
    folder = page.parent
    files = [
        "angles.csv",
        "angles.mot",
        "boxes.png",
        "index.html",
        "markers.trc",
        "overlay.mp4",
        "person.osim",
    ]
    assert sorted(p.name for p in folder.iterdir()) == files
    motion = read_mot(folder / "angles.mot")
    body = load_osim(BODY_FILE)
    assert motion.labels == tuple(coordinate.name for coordinate in body.coordinates)
    for coordinate, values in zip(body.coordinates, motion.values.T):
        assert values.min() >= coordinate.range[0] - 1e-6, coordinate.name
        assert values.max() <= coordinate.range[1] + 1e-6, coordinate.name
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    model = opensim.Model(str(folder / "person.osim"))
    names = [coordinate.getName() for coordinate in model.getCoordinateSet()]
    assert sorted(opensim.TimeSeriesTable(str(folder / "angles.mot")).getColumnLabels()) == sorted(names)
    assert read_trc(folder / "markers.trc").labels == default_skeleton().markers
    assert len(list(video.frames(folder / "overlay.mp4"))) == 40
    assert "trained on synthetic pictures only" in page.read_text()
    assert "http" not in page.read_text()


def test_what_the_networks_say_is_what_is_written(tmp_path: Path, nets: predict.Nets, walk: Path) -> None:
    found = predict.find(walk, nets, box="0,0,320,180")
    page = outputs.write_all(found, nets, tmp_path / "walk", "given")
    with (page.parent / "angles.csv").open() as file:
        rows = list(csv.DictReader(file))
    knee = np.array([float(row["knee_angle_r_deg"]) for row in rows])
    assert len(rows) == 40
    assert np.corrcoef(knee, np.arange(40))[0, 1] < -0.99  # the picture grows brighter
    turn = np.array([float(row["pelvis_rotation_deg"]) for row in rows])
    np.testing.assert_allclose(turn, 0, atol=1e-3)  # the box is centred: the crop camera is not turned
    markers = read_trc(page.parent / "markers.trc").positions
    assert markers[..., 1].min() == pytest.approx(0, abs=0.02)  # feet on the floor
    assert 1.2 < markers[..., 1].max() < 2.2


def test_turned_crops_are_turned_back(nets: predict.Nets, walk: Path) -> None:
    """Who faces a camera that turns to the left edge is turned by the same angle in the room."""
    found = predict.find(walk, nets, box="0,40,60,120")
    aim = np.arctan2(30 - 160, float(found.camera.focal[0]))
    R = outputs.R_ground_camera @ found.pose.R_ground_root[0]
    assert float(torch.atan2(R[0, 2], R[0, 0])) == pytest.approx(-aim, abs=1e-3)


def test_the_body_fills_its_box(nets: predict.Nets, walk: Path) -> None:
    found = predict.find(walk, nets)
    points = default_skeleton()(found.pose)
    flat = pixels(found.camera, torch.cat(points, -2) + found.place[:, None])
    middle, box = slice(10, 30), found.boxes
    centre = (flat.amin(-2) + flat.amax(-2)) / 2
    torch.testing.assert_close(centre[middle], (box[middle, :2] + box[middle, 2:])[:] / 2, atol=3.0, rtol=0)
    height = (flat.amax(-2) - flat.amin(-2))[middle].amax(-1)
    side = (box[middle, 2:] - box[middle, :2]).amax(-1)
    torch.testing.assert_close(height, predict.FILL * side, atol=0, rtol=0.05)


@pytest.mark.parametrize("fps", [30.0, 60.0, 25.0, 12.5])
def test_a_refiner_answers_for_every_frame(nets: predict.Nets, fps: float) -> None:
    times = np.arange(30) / fps
    turns = torch.linspace(0, 2, 30)[:, None] * torch.tensor([0.0, 0.0, 1.0])
    angles = torch.linspace(0, 1, 30)[:, None].expand(30, 69)
    scales = default_skeleton().generic_scales.expand(30, -1, 3)
    pose = Pose(angles, scales, roma.rotvec_to_rotmat(turns))
    back = predict.refine(nets, pose, times)
    for ours, expected in zip(back, pose):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_refiners_window_has_the_spacing_of_its_training(nets: predict.Nets) -> None:
    """At 60 Hz a window of 9 frames for 30 Hz reaches 8 frames back: a first frame as answer shows it."""
    times = np.arange(60) / 60.0
    angles = torch.arange(60.0)[:, None].expand(60, 69)
    scales = default_skeleton().generic_scales.expand(60, -1, 3)
    first = nets.refiner
    first.forward = lambda pose, points: (Pose(*(part[:, :1] for part in pose)), points)
    back = predict.refine(nets, Pose(angles, scales, torch.eye(3).expand(60, 3, 3)), times)
    torch.testing.assert_close(back.angles[:, 0], (torch.arange(60.0) - 8).clamp(min=0), atol=1e-3, rtol=0)


def test_one_frame_is_enough(tmp_path: Path, nets: predict.Nets) -> None:
    video.write(tmp_path / "one.mp4", [np.full((120, 160, 3), 90, np.uint8)], 30.0)
    found = predict.find(tmp_path / "one.mp4", nets, box="10,10,60,100")
    outputs.write_all(found, nets, tmp_path / "one", "given")
    assert len(read_mot(tmp_path / "one" / "angles.mot").time) == 1


def test_the_command_fails_with_one_line(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("D3KE_OUT", str(tmp_path))
    for words in (["no.mp4"], ["no.mp4", "--profile", "nix"]):
        monkeypatch.setattr("sys.argv", ["predict.py", *words])
        assert script("predict").main() == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_errors_name_the_cause_and_leave_nothing(
    tmp_path: Path, nets: predict.Nets, walk: Path, monkeypatch
) -> None:
    with pytest.raises(VideoError, match="BOX: expected a box inside 320×180"):
        predict.find(walk, nets, box="0,0,400,10")
    with pytest.raises(D3keError, match="FOCAL: expected px, near 384"):
        predict.find(walk, nets, focal=3.0)
    monkeypatch.setenv("D3KE_OUT", str(tmp_path / "runs"))
    with pytest.raises(
        D3keError, match=r"demo/frame/resnext50_32x4d.0: no finished run; .*make reproduce P=demo"
    ):
        predict.load("demo", "resnext50_32x4d", "transformer")
    found = predict.find(walk, nets)
    monkeypatch.setattr(outputs, "page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outputs.write_all(found, nets, tmp_path / "out" / "walk", "given")
    assert not list((tmp_path / "out").iterdir())
