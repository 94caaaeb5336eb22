"""Frames of the fit against those of the video, points, masks and boxes of a subject."""

from pathlib import Path

import numpy as np
import pytest
import small_bmlmovi
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.bmlmovi import boxes as bmlmovi_boxes
from d3ke_lib.data.bmlmovi import labels as bmlmovi_labels
from d3ke_lib.data.bmlmovi import points as bmlmovi_points
from d3ke_lib.data.bmlmovi import smplh
from d3ke_lib.data.bmlmovi.folder_tree import BmlmoviError
from d3ke_lib.data.bmlmovi.labels import pair_frames
from d3ke_lib.data.bmlmovi.masks import _child_bodies, mask_labels
from d3ke_lib.data.bmlmovi.read import Fit, Ranges
from d3ke_lib.data.camera import calibrated, project

# -- time --------------------------------------------------------------------------------------------------


def test_four_frames_of_the_fit_for_one_of_the_video() -> None:
    found = pair_frames(3, np.array([10, 14]), 16)
    assert found.number == 3
    assert found.video.tolist() == [10, 11, 12, 13]
    assert found.fit.tolist() == [0, 4, 8, 12]


@pytest.mark.parametrize(
    ("fit_frames", "expected"),
    [
        (13, [0, 4, 8, 12]),
        (12, [0, 4, 8, 11]),  # one video frame past the end: the last pose
        (8, [0, 4, 7, 7]),  # two
        (4, [0, 3, 3]),  # the fourth would be a third one: left out
        (1, [0, 0, 0]),
    ],
)
def test_past_the_end_of_the_fit(fit_frames: int, expected: list[int]) -> None:
    found = pair_frames(1, np.array([10, 14]), fit_frames)
    assert found.fit.tolist() == expected
    assert found.video.tolist() == list(range(10, 10 + len(expected)))


def fit(frames: int, betas: float = 0.1, sex: str = "male") -> Fit:
    return Fit(Path("f.npz"), sex, np.full(16, betas), np.zeros((frames, 156)), np.zeros((frames, 3)))


def test_what_is_left_out_is_noted() -> None:
    ranges = Ranges("male", ("a", "b", "c"), np.array([[0, 10], [20, 30], [40, 50]]))
    said = bmlmovi_labels._list_unused(ranges, {1: fit(40), 2: fit(20), 5: fit(40)})
    assert said == [
        "motion 3: no fit; its frames are left out",
        "motion 2: the fit ends 3 video frames early; those are left out",
        "f.npz: flags30 has only 3 motions; left out",
    ]


def test_fits_of_two_subjects_are_refused() -> None:
    with pytest.raises(BmlmoviError, match=r"expected sex and betas of f.npz, found other values"):
        bmlmovi_labels._shared_betas({1: fit(4), 2: fit(4, betas=0.2)})


# -- points --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> smplh.SmplhModel:
    return smplh.load_model(small_bmlmovi.write_model(tmp_path_factory.mktemp("m") / "male" / "model.npz"))


def test_every_marker_of_the_networks_is_a_point() -> None:
    assert {*D3KE.markers} <= {*bmlmovi_points.NAMES}
    assert len(bmlmovi_points.NAMES) == 66 + 52 + 12


def test_points_are_vertices_joints_and_means(model: smplh.SmplhModel) -> None:
    trial = bmlmovi_points.make_static_trial(model, np.zeros(16))
    places = dict(zip(trial.labels, trial.positions[0]))
    vertices, joints = (part.numpy() for part in smplh.pose_zero(model, torch.zeros(16)))
    floor = [0, vertices[:, 1].min(), 0]
    np.testing.assert_allclose(places["LASI"], vertices[1799] - floor)
    np.testing.assert_allclose(places["RAJC"], joints[8] - floor)
    np.testing.assert_allclose(places["MHIPJ"], (places["LHIPJ"] + places["RHIPJ"]) / 2)
    on_floor = places["Virtual_Ground_RHEE"]
    np.testing.assert_allclose(on_floor, [places["RHEE"][0], 0, places["RHEE"][2]])


def test_ground_of_inverse_kinematics_is_a_turn_that_lays_z_up() -> None:
    turned = bmlmovi_points.to_ground(torch.eye(3))
    torch.testing.assert_close(turned[2], torch.tensor([0.0, 1, 0]))
    assert torch.det(turned) == 1


# -- masks ---------------------------------------------------------------------------------------------------


def wrong(markers: list[str]) -> dict[str, set[str]]:
    """What is masked when these markers are 3 cm off, in a frame where all else is right."""
    skeleton = default_skeleton()
    distance = torch.zeros(2, len(skeleton.markers))
    distance[1, [skeleton.markers.index(name) for name in markers]] = 0.03
    valid = mask_labels(skeleton, distance)
    assert all(part[0].all() for part in valid)
    names = (skeleton.coordinates, skeleton.joints, skeleton.markers)
    kinds = ("angles", "joints", "markers")
    return {k: {n for n, ok in zip(ns, part[1]) if not ok} for k, ns, part in zip(kinds, names, valid)}


def test_a_landmark_masks_the_coordinates_that_move_its_body() -> None:
    found = wrong(["RKNE"])
    assert found["angles"] == {"knee_angle_r", "knee_angle_x_r", "knee_angle_y_r"}
    assert found["markers"] == {"RKNE"}
    assert len(found["joints"]) == 1


def test_any_of_the_shoulders_landmarks_masks_the_whole_shoulder() -> None:
    by_scapula, by_humerus = wrong(["LSHO"])["angles"], wrong(["LELB"])["angles"]
    assert by_scapula == by_humerus
    assert {"shoulder_elv_l", "shoulder_rot_l", "elv_angle_l"} <= by_scapula
    assert not any("elbow" in name or not name.endswith("_l") for name in by_scapula)


def test_a_soft_marker_masks_itself_alone() -> None:
    found = wrong(["Spine2", "LBHD"])
    assert found == {"angles": set(), "joints": set(), "markers": {"Spine2", "LBHD"}}


def test_every_joint_has_a_body_that_decides_on_it() -> None:
    skeleton = default_skeleton()
    assert {*skeleton.joints} <= {*_child_bodies(skeleton)}


# -- boxes ---------------------------------------------------------------------------------------------------


def test_boxes_are_squares_round_the_projected_points() -> None:
    camera, size = calibrated("PG1", torch.float64), D3KE.cameras["PG1"].size
    points = torch.rand(5, 40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = points * torch.tensor([0.5, 0.5, 1.7]) - torch.tensor([0.25, 0.25, 0])
    boxes = bmlmovi_boxes.project_boxes(camera, points, size)
    at = project(camera, points)
    assert boxes.seen.all()
    assert ((at > boxes.box[:, None, :2]) & (at < boxes.box[:, None, 2:])).all()
    sides = boxes.box[:, 2:] - boxes.box[:, :2]
    torch.testing.assert_close(sides[:, 0], sides[:, 1])
    extent = (at.amax(1) - at.amin(1)).amax(-1)
    torch.testing.assert_close(sides[:, 0], 1.16 * extent)


def test_who_is_behind_the_camera_or_outside_the_image_is_not_seen() -> None:
    camera = calibrated("PG1", torch.float64)
    ahead = -camera.R.T @ camera.t + camera.R.T @ torch.tensor([0.0, 0, 4]).double()
    behind, beside = (
        -camera.R.T @ (camera.t - torch.tensor(x).double()) for x in ([0.0, 0, -4], [9.0, 0, 4])
    )
    around = 0.3 * torch.randn(10, 3, generator=torch.Generator().manual_seed(0)).double()
    points = torch.stack([ahead, behind, beside])[:, None] + around
    assert bmlmovi_boxes.project_boxes(camera, points, (800, 600)).seen.tolist() == [True, False, False]


class Detector(torch.nn.Module):
    """Finds what it was told: a list of (label, score, box) for each image in turn."""

    def __init__(self, predictions: list[list[tuple]]) -> None:
        super().__init__()
        self.predictions, self.batches = iter(predictions), []

    def forward(self, batch: list[torch.Tensor]) -> list[dict]:
        self.batches.append(len(batch))
        return [self.one(next(self.predictions)) for _ in batch]

    def one(self, found: list[tuple]) -> dict:
        labels, scores, boxes = ([entry[i] for entry in found] for i in range(3))
        box = torch.tensor(boxes).reshape(-1, 4).float()
        return {"labels": torch.tensor(labels).long(), "scores": torch.tensor(scores), "boxes": box}


def test_a_frame_without_a_person_takes_the_one_before() -> None:
    mine, other, chair = (10.0, 10, 30, 50), (60.0, 10, 80, 50), (0.0, 0, 9, 9)
    net = Detector(
        [
            [(62, 0.9, chair)],  # no person: the next frame's
            [(1, 0.99, other), (1, 0.7, mine)],  # the one where the labels are
            [(1, 0.2, mine)],  # not sure: the frame before's
            [(1, 0.9, (14.0, 10, 34, 50))],
            [],
        ]
    )
    near = torch.tensor([12.0, 12, 32, 52]).double().repeat(5, 1)
    images = [np.zeros((8, 8, 3), np.uint8)] * 5
    boxes = bmlmovi_boxes.detect_boxes(net, images, near)
    assert net.batches == [4, 1]
    assert boxes.found.tolist() == [False, True, False, True, False]
    assert boxes.seen.all()
    first, last = [0, 10, 40, 50], [4, 10, 44, 50]
    assert boxes.box.tolist() == [first, first, first, last, last]


def test_nobody_anywhere_is_seen_nowhere() -> None:
    near = torch.zeros(2, 4)
    boxes = bmlmovi_boxes.detect_boxes(Detector([[], []]), [np.zeros((8, 8, 3), np.uint8)] * 2, near)
    assert not boxes.seen.any()


def test_detector_weights_that_are_none_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(BmlmoviError, match=r"w.pth: expected weights of fasterrcnn_resnet50_fpn"):
        bmlmovi_boxes.load_detector(str(tmp_path / "w.pth"))
    with pytest.raises(BmlmoviError, match=r"'nowhere.pth': expected a file or torchvision's name"):
        bmlmovi_boxes.load_detector("nowhere.pth")


# -- files ----------------------------------------------------------------------


def some_labels() -> bmlmovi_labels.Labels:
    frames = {"motion": 1, "frame": 2, "time": 0.1, "converged": True}
    shapes = {"angles": (69,), "R_world_root": (3, 3), "root": (3,), "distance": (65,), "points": (130, 3)}
    columns = {name: np.full(4, value) for name, value in frames.items()}
    columns |= {name: np.full((4, *shape), 0.5) for name, shape in shapes.items()}
    return bmlmovi_labels.Labels(scales=np.ones((48, 3)), **columns)


def test_labels_come_back_for_the_same_configuration_only(tmp_path: Path) -> None:
    path = tmp_path / "labels" / "subject_001.npz"
    bmlmovi_labels.save_labels(path, some_labels(), {"px": 3})
    assert bmlmovi_labels.load_labels(path, {"px": 4}) is None
    for name, value in bmlmovi_labels.load_labels(path, {"px": 3})._asdict().items():
        assert np.array_equal(value, getattr(some_labels(), name))


def test_labels_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        bmlmovi_labels.save_labels(tmp_path / name, some_labels(), {})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
