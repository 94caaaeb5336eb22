"""From a video to files that OpenSim opens, with networks whose prediction is known."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import roma
import torch
from PIL import Image
from test_report import script
from torch import Tensor, nn

from d3ke_lib.body.kinematics import Skeleton, default_skeleton
from d3ke_lib.body.opensim.motion_files import read_mot, read_trc
from d3ke_lib.body.opensim.read import load_osim
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.data import video
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.video import VideoError
from d3ke_lib.data.video_writing import write_video
from d3ke_lib.experiment.run import run_folder
from d3ke_lib.experiment.run.config import FrameConfig, TemporalConfig
from d3ke_lib.experiment.video import methods, outputs, predict, request
from d3ke_lib.experiment.video.networks import Networks
from d3ke_lib.experiment.video.person import find_person
from d3ke_lib.experiment.video.predict import predict_video
from d3ke_lib.experiment.video.prediction import Prediction
from d3ke_lib.experiment.video.request import FOCAL, OUTPUTS, Request, check_request
from d3ke_lib.files import D3keError
from d3ke_lib.settings import REPOSITORY

PX = 64
FACING = torch.tensor(
    [[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]]
)  # pelvis axes in the camera's frame


class Oracle(nn.Module):
    """A frame network that sees the same person, facing it; the knee follows the image's brightness."""

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
    """A temporal network that predicts its window's middle frame as it is."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pose: Pose, points: Points) -> tuple[Pose, Points]:
        assert points.joints.shape[1] == self.window
        middle = slice(self.window // 2, self.window // 2 + 1)
        return Pose(*(part[:, middle] for part in pose)), Points(*(part[:, middle] for part in points))


@pytest.fixture
def networks() -> Networks:
    return make_networks()


def make_networks() -> Networks:
    refining = TemporalConfig(kind="tcn", window=9, batch=16)
    config = FrameConfig(px=PX, batch=8, weights=None)
    return Networks(default_skeleton(), Oracle(), config, Middle(9), refining, 30.0, ("frame/oracle",))


def room() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 110, (180, 320, 3), dtype=np.uint8)


def crossing(count: int = 40) -> Iterator[np.ndarray]:
    """Someone block-shaped crosses a noisy room and gets brighter."""
    for i in range(count):
        frame = room()
        frame[60:160, 20 + 6 * i : 50 + 6 * i] = 150 + 2 * i
        yield frame


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4", crossing(), 30.0)


@pytest.fixture(scope="module")
def found(walk: Path) -> Prediction:
    """What the networks above predict for the person who moves in `walk`."""
    return predicted(walk, make_networks())


def ask(path: Path, box: str | None = None, person: int = 1) -> Request:
    """What `check_request` returns, without runs."""
    size = video.read_size(path)
    return Request(path, Path(), None, Path(), box and video.parse_box(box, size), person)


def predicted(path: Path, networks: Networks, box: str | None = None) -> Prediction:
    return predict_video(find_person(ask(path, box)), networks)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "angles.csv").open() as file:
        return list(csv.DictReader(file))


# --- what is written --------------------------------------------------------------------------------------


def test_files_open_in_opensim_with_our_body(tmp_path: Path, networks: Networks, found: Prediction) -> None:
    page = outputs.write_prediction(found, networks.skeleton, tmp_path / "out" / "walk")
    folder = page.parent
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS)
    motion = read_mot(folder / "angles.mot")
    body = load_osim(BODY_FILE)
    assert motion.labels == tuple(coordinate.name for coordinate in body.coordinates)
    for coordinate, values in zip(body.coordinates, motion.values.T):
        assert values.min() >= coordinate.range[0] - 1e-6, coordinate.name
        assert values.max() <= coordinate.range[1] + 1e-6, coordinate.name
    assert read_trc(folder / "markers.trc").labels == default_skeleton().markers
    assert len(video.probe(folder / "overlay.mp4").times) == 40
    assert "trained on synthetic images" in page.read_text()
    assert "http" not in page.read_text()
    assert "repaired" not in page.read_text()
    assert Image.open(folder / "boxes.png").size == (6 * 320, 180 + 320)
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Error")
    opensim.Logger.removeFileSink()
    model = opensim.Model(str(folder / "person.osim"))
    names = [coordinate.getName() for coordinate in model.getCoordinateSet()]
    assert sorted(opensim.TimeSeriesTable(str(folder / "angles.mot")).getColumnLabels()) == sorted(names)


def test_what_the_networks_predict_is_what_is_written(tmp_path: Path, networks: Networks, walk: Path) -> None:
    found = predicted(walk, networks, box="0,0,320,180")
    folder = outputs.write_prediction(found, networks.skeleton, tmp_path / "walk").parent
    rows = rows_of(folder)
    knee = np.array([float(row["knee_angle_r_deg"]) for row in rows])
    assert len(rows) == 40
    assert {row["person"] for row in rows} == {"seen"}
    assert np.corrcoef(knee, np.arange(40))[0, 1] < -0.99  # the image grows brighter
    heading = np.array([float(row["pelvis_rotation_deg"]) for row in rows])
    np.testing.assert_allclose(heading, 0, atol=1e-3)  # the box is centred: the crop camera is not rotated
    markers = read_trc(folder / "markers.trc").positions
    assert markers[..., 1].min() == pytest.approx(0, abs=0.02)  # feet on the floor
    assert 1.2 < markers[..., 1].max() < 2.2


def test_the_motion_on_the_model_gives_the_markers(
    tmp_path: Path, networks: Networks, found: Prediction
) -> None:
    """person.osim read back and moved by angles.mot alone, with any angles, size and heading."""
    skeleton = networks.skeleton
    swing = torch.sin(torch.linspace(0, 3, 40)[:, None] + torch.rand(69) * 6)
    scales = skeleton.spread_scales(
        skeleton.scale_middle + 0.5 * skeleton.scale_half * (2 * torch.rand(51) - 1)
    )
    heading = roma.rotvec_to_rotmat(torch.linspace(0, 7, 40)[:, None] * torch.tensor([0.0, 1.0, 0.0]))
    angles = skeleton.angle_middle + 0.5 * skeleton.angle_half * swing
    pose = Pose(angles, scales.expand(40, -1, 3), found.pose.R_ground_root @ heading)
    folder = outputs.write_prediction(found._replace(pose=pose), networks.skeleton, tmp_path / "walk").parent
    motion, markers = read_mot(folder / "angles.mot"), read_trc(folder / "markers.trc")
    alone = Skeleton(load_osim(folder / "person.osim")).double()
    assert motion.labels == alone.coordinates
    own = alone.generic_scales.expand(40, -1, 3)
    points = alone(Pose(torch.tensor(motion.values), own)).markers
    chosen = [alone.markers.index(name) for name in markers.labels]
    np.testing.assert_allclose(points[:, chosen].numpy(), markers.positions, atol=1e-6)
    rotation = motion.values[:, motion.labels.index("pelvis_rotation")]
    assert np.abs(np.diff(rotation)).max() < 0.2  # past 180° without a jump


def test_a_person_has_one_size(networks: Networks, walk: Path) -> None:
    def vary(pose: Pose, points: Points) -> tuple[Pose, Points]:
        middle = Pose(*(part[:, 4:5] for part in pose))
        return middle._replace(scales=middle.scales * (0.95 + 0.1 * torch.rand_like(middle.scales))), points

    networks.refiner.forward = vary
    scales = predicted(walk, networks).pose.scales
    torch.testing.assert_close(scales, scales[:1].expand_as(scales))
    torch.testing.assert_close(scales[0], networks.skeleton.generic_scales, rtol=0.03, atol=0)


def test_frames_without_the_person_are_marked_and_get_no_angles(tmp_path: Path, networks: Networks) -> None:
    """20 empty frames, then a person of whom nothing is seen for 2 frames."""
    frames = [room()] * 20 + list(crossing())
    frames[35:37] = [room()] * 2
    path = write_video(tmp_path / "late.mp4", frames, 30.0)
    folder = outputs.write_prediction(predicted(path, networks), networks.skeleton, tmp_path / "out").parent
    person = np.array([row["person"] for row in rows_of(folder)])
    assert len(person) == 60
    assert (person[:19] == "absent").all()
    assert np.flatnonzero(person == "hidden").tolist() == [35, 36]
    assert (person[21:35] == "seen").all()
    angles = [row["knee_angle_r_deg"] for row in rows_of(folder)]
    assert [angle != "" for angle in angles] == (person != "absent").tolist()
    first = float(rows_of(folder)[int((person == "absent").sum())]["time_s"])
    assert read_mot(folder / "angles.mot").time[0] == pytest.approx(first, abs=1e-6)
    assert len(video.probe(folder / "overlay.mp4").times) == 60
    assert "hidden for a moment in 2" in (folder / "index.html").read_text()


def test_uneven_times_reach_every_file(tmp_path: Path, networks: Networks) -> None:
    times = np.cumsum(np.r_[0, np.random.default_rng(1).uniform(0.02, 0.05, 39)])
    path = write_video(tmp_path / "phone.mp4", crossing(), 30.0, times)
    folder = outputs.write_prediction(predicted(path, networks), networks.skeleton, tmp_path / "out").parent
    for found in (
        read_mot(folder / "angles.mot").time,
        read_trc(folder / "markers.trc").time,
        [float(row["time_s"]) for row in rows_of(folder)],
        video.probe(folder / "overlay.mp4").times,
    ):
        np.testing.assert_allclose(found, times, atol=1e-3)


def test_one_frame_and_two_frames_are_enough_with_a_box(tmp_path: Path, networks: Networks) -> None:
    for count in (1, 2):
        path = write_video(tmp_path / "short.mp4", [np.full((120, 160, 3), 90, np.uint8)] * count, 30.0)
        found = predicted(path, networks, "10,10,60,100")
        outputs.write_prediction(found, networks.skeleton, tmp_path / "short")
        assert len(read_mot(tmp_path / "short" / "angles.mot").time) == count


# --- geometry and time ------------------------------------------------------------------------------------


def test_a_crop_cameras_rotation_is_undone(networks: Networks, walk: Path) -> None:
    """Who faces a camera that turns to the left edge is turned by the same angle in the room."""
    found = predicted(walk, networks, box="0,40,60,120")
    aim = np.arctan2(30 - 160, float(found.camera.focal[0]))
    R = outputs.R_ground_camera @ found.pose.R_ground_root[0]
    assert float(torch.atan2(R[0, 2], R[0, 0])) == pytest.approx(-aim, abs=1e-3)


def test_the_body_fills_its_box(found: Prediction) -> None:
    points = default_skeleton()(found.pose)
    flat = pixels(found.camera, torch.cat(points, -2) + found.positions[:, None])
    middle, box = slice(10, 30), found.boxes
    centre = (flat.amin(-2) + flat.amax(-2)) / 2
    torch.testing.assert_close(centre[middle], (box[middle, :2] + box[middle, 2:]) / 2, atol=3.0, rtol=0)
    height = (flat.amax(-2) - flat.amin(-2))[middle].amax(-1)
    side = (box[middle, 2:] - box[middle, :2]).amax(-1)
    torch.testing.assert_close(height, 0.92 * side, atol=0, rtol=0.05)


def test_positions_do_not_depend_on_the_chunks(
    networks: Networks, walk: Path, found: Prediction, monkeypatch
) -> None:
    monkeypatch.setattr("d3ke_lib.experiment.video.position._CHUNK", 7)
    torch.testing.assert_close(predicted(walk, networks).positions, found.positions)


@pytest.mark.parametrize("fps", [30.0, 60.0, 25.0, 12.5])
def test_a_refiner_predicts_every_frame(networks: Networks, fps: float) -> None:
    times = np.arange(30) / fps
    rotations = torch.linspace(0, 2, 30)[:, None] * torch.tensor([0.0, 0.0, 1.0])
    angles = torch.linspace(0, 1, 30)[:, None].expand(30, 69)
    scales = default_skeleton().generic_scales.expand(30, -1, 3)
    pose = Pose(angles, scales, roma.rotvec_to_rotmat(rotations))
    back = predict.refine(networks, pose, times)
    for ours, expected in zip(back, pose):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_refiners_window_has_the_spacing_of_its_training(networks: Networks) -> None:
    """At 60 Hz a window of 9 frames for 30 Hz reaches 8 frames back: predicting the first frame shows it."""
    times = np.arange(60) / 60.0
    angles = torch.arange(60.0)[:, None].expand(60, 69)
    scales = default_skeleton().generic_scales.expand(60, -1, 3)
    first = networks.refiner
    first.forward = lambda pose, points: (Pose(*(part[:, :1] for part in pose)), points)
    back = predict.refine(networks, Pose(angles, scales, torch.eye(3).expand(60, 3, 3)), times)
    torch.testing.assert_close(back.angles[:, 0], (torch.arange(60.0) - 8).clamp(min=0), atol=1e-3, rtol=0)


# --- which person -----------------------------------------------------------------------------------------


def test_another_person_can_be_chosen(tmp_path: Path, networks: Networks) -> None:
    frames = list(crossing())
    for i, frame in enumerate(frames):
        frame[5:45, 290 - 6 * i : 305 - 6 * i] = 230
    path = write_video(tmp_path / "two.mp4", frames, 30.0)
    first, second = (find_person(ask(path, person=k)) for k in (1, 2))
    assert np.median(first.track.boxes[:, 1]) > 50 > np.median(second.track.boxes[:, 3])
    assert first.choice == "the person who moves most; 2 were found (PERSON=1 … 2)"
    assert second.choice == "person 2 by movement; 2 were found (PERSON=1 … 2)"
    with pytest.raises(VideoError, match=r"two\.mp4: PERSON: expected at most 2 .*, found 3"):
        find_person(ask(path, person=3))


def test_nobody_names_the_file_and_asks_for_a_box(tmp_path: Path) -> None:
    path = write_video(tmp_path / "empty.mp4", [room()] * 20, 30.0)
    with pytest.raises(VideoError, match=r"empty\.mp4: nothing the size of a person moves: give BOX"):
        find_person(ask(path))


# --- the request ------------------------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path: Path, monkeypatch) -> Path:
    """A folder of profiles in which smoke has one frame run and one temporal run."""
    folder = tmp_path / "runs"
    for run in ("frame/resnext50_32x4d.0", "temporal/transformer.resnext50_32x4d.0"):
        (folder / "smoke" / run).mkdir(parents=True)
        (folder / "smoke" / run / run_folder.RESULT).write_text("{}")
    monkeypatch.setenv("D3KE_OUT", str(folder))
    return folder


def test_a_request_resolves_runs_and_folder(out: Path, walk: Path) -> None:
    asked = check_request(walk, "smoke", method="d3ke")
    assert asked.frame_run == out / "smoke/frame/resnext50_32x4d.0"
    assert asked.temporal_run == out / "smoke/temporal/transformer.resnext50_32x4d.0"
    shutil.rmtree(asked.temporal_run)
    assert check_request(walk, "smoke", method="d3ke").temporal_run is None
    lifted = check_request(walk)
    assert lifted.frame_run is None
    assert lifted.folder.parent == out / "predict"
    assert lifted.folder.name.endswith(".lifted")


def test_videos_of_one_name_in_two_folders_keep_apart(out: Path, walk: Path, monkeypatch) -> None:
    other = walk.parent / "other" / "walk.mp4"
    other.parent.mkdir()
    shutil.copy(walk, other)
    here, there = (check_request(path, "smoke", method="d3ke").folder for path in (walk, other))
    assert here != there
    assert here.parent == there.parent == out / "smoke/predict"
    assert here.name.startswith("walk-")
    monkeypatch.chdir(walk.parent)
    same = check_request(Path("walk.mp4"), "smoke", method="d3ke")  # the same file, named otherwise
    assert same.folder == here


BAD = [
    ({"video": Path("no.mp4")}, r"no\.mp4: no such file"),
    ({"profile": "dmeo"}, r"dmeo: no such profile; make it with: make reproduce P=… \(found smoke\)"),
    (
        {"backbone": "resnet"},
        r"frame/resnet\.0: no finished run; make it with: make reproduce P=smoke \(found re",
    ),
    ({"seed": 7}, r"frame/resnext50_32x4d\.7: no finished run"),
    (
        {"refiner": "tcn"},
        r"temporal/tcn\.resnext50_32x4d\.0: no finished run; .*\(found transf",
    ),
    ({"box": "0,0,400,10"}, "BOX: expected a box inside 320×180"),
    ({"box": "1,2,3"}, "BOX: expected four numbers x,y,w,h in px, found '1,2,3'"),
    ({"focal": 3.0}, "FOCAL: expected px, near 384"),
    ({"method": "magic"}, "METHOD: expected one of lifted, landmarks, d3ke, found 'magic'"),
    ({"person": 0}, "PERSON: expected 1 for who is seen most, .* found 0"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_what_is_wrong_with_a_request_is_said(out: Path, walk: Path, wrong: dict, message: str) -> None:
    with pytest.raises(D3keError, match=message):
        check_request(**{"video": walk, "profile": "smoke", "method": "d3ke", **wrong})


def test_a_folder_with_other_files_is_never_replaced(out: Path, walk: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    with pytest.raises(D3keError, match=r"OUT: expected .*an earlier prediction, found thesis\.tex in"):
        check_request(walk, "smoke", folder=tmp_path / "mine")
    with pytest.raises(D3keError, match=r"OUT: expected a folder, found the file .*thesis\.tex"):
        check_request(walk, "smoke", folder=tmp_path / "mine" / "thesis.tex")
    (tmp_path / "mine" / "thesis.tex").rename(tmp_path / "mine" / "angles.mot")
    assert check_request(walk, "smoke", folder=tmp_path / "mine").folder == tmp_path / "mine"


def command(*words: object, out: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "D3KE_OUT": str(out), "PYTHONPATH": str(REPOSITORY)}
    line = [sys.executable, "-X", "importtime", REPOSITORY / "scripts/predict.py", *map(str, words)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "words", [["no.mp4"], ["{walk}", "--method", "d3ke", "--profile", "dmeo"], ["{walk}", "--box", "1,2"]]
)
def test_a_typo_costs_no_torch_and_one_line(out: Path, walk: Path, words: list[str]) -> None:
    ran = command(*(word.format(walk=walk) for word in words), out=out)
    said = [line for line in ran.stderr.splitlines() if not line.startswith("import time:")]
    assert ran.returncode == 2
    assert len(said) == 1
    assert said[0].startswith("error: ")
    packages = {line.split("|")[-1].strip().split(".")[0] for line in ran.stderr.splitlines() if "|" in line}
    assert "av" in packages
    assert not packages & {"torch", "scipy", "pandas", "matplotlib"}
    assert ran.stdout == ""


# --- failures ---------------------------------------------------------------------------------------------


def test_a_failure_leaves_the_earlier_prediction(
    tmp_path: Path, networks: Networks, found: Prediction, monkeypatch
) -> None:
    outputs.write_prediction(found, networks.skeleton, tmp_path / "out" / "walk")
    before = (tmp_path / "out/walk/angles.mot").stat().st_mtime_ns
    monkeypatch.setattr(outputs, "make_page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outputs.write_prediction(found, networks.skeleton, tmp_path / "out" / "walk")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["walk"]
    assert (tmp_path / "out/walk/angles.mot").stat().st_mtime_ns == before
    monkeypatch.undo()
    outputs.write_prediction(found, networks.skeleton, tmp_path / "out" / "walk")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["walk"]
    assert (tmp_path / "out/walk/angles.mot").stat().st_mtime_ns > before


def test_interrupted_while_drawing_everything_but_the_overlay_is_kept(
    tmp_path: Path, networks: Networks, found: Prediction
) -> None:
    def stop(stage: str, items: Iterable, total: int | None = None) -> Iterator:
        for i, item in enumerate(items):
            if stage == "overlay" and i == 5:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt, match="has everything but overlay"):
        outputs.write_prediction(found, networks.skeleton, tmp_path / "out" / "walk", stop)
    kept = sorted(path.name for path in (tmp_path / "out" / "walk").iterdir())
    assert kept == sorted(set(OUTPUTS) - {"overlay.mp4"})
    assert len(read_mot(tmp_path / "out/walk/angles.mot").time) == 40
    assert "overlay.mp4#" not in (tmp_path / "out/walk/index.html").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["walk"]


@pytest.fixture
def main(out: Path, networks: Networks, monkeypatch):
    """The command with the networks above in place of trained ones."""
    module = script("predict")
    monkeypatch.setattr(methods, "load_networks", lambda *_: networks)

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["predict.py", "--method", "d3ke", *map(str, words)])
        return module.main()

    return run


def test_the_command_from_a_video_to_a_page(main, out: Path, walk: Path, tmp_path: Path, capsys) -> None:
    assert main(walk, "--profile", "smoke", "--out", tmp_path / "mine") == 0
    said = capsys.readouterr()
    page = tmp_path / "mine" / "index.html"
    assert said.out.startswith(f"{page}  (METHOD=d3ke: trained on synthetic images")
    assert said.err == ""  # no bar and no control characters where there is no terminal
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == sorted(OUTPUTS)


def test_the_command_interrupted_exits_130_with_one_line(main, walk: Path, monkeypatch, capsys) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("d3ke_lib.experiment.video.predict._predict_batch", interrupted)
    assert main(walk, "--profile", "smoke") == 130
    assert capsys.readouterr().err == "interrupted: nothing was written\n"


def test_a_signal_while_reading_exits_130(out: Path, walk: Path) -> None:
    """A real SIGINT in a process of its own, which takes 0.1 s per frame."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    code = (
        "import signal, sys, time; sys.path.insert(0, 'scripts'); import predict\n"
        # A shell's & has children ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "show = predict._show\n"
        "def slow(stage, items, total=None):\n"
        "    for item in show(stage, items, total):\n"
        "        print('reading', flush=True); time.sleep(0.1); yield item\n"
        "predict._show = slow\n"
        f"sys.argv = ['predict.py', {str(walk)!r}, '--method', 'd3ke', '--profile', 'smoke']\n"
        "sys.exit(predict.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "reading\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted: nothing was written\n")
    assert not (out / "smoke/predict").exists()


def test_the_focal_length_named_in_help_is_the_one_assumed() -> None:
    assert f"{FOCAL} × the longer side" in script("predict")._parser().format_help()
    assert request._FINISHED == run_folder.RESULT
