"""Looks, furniture, sensor and blur: what is drawn around a subject, and that labels follow the camera."""

import math

import pytest
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.camera import pixels
from d3ke_lib.data.people.correspondence import find_skin_markers
from d3ke_lib.data.renderer.appearance import draw_room
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate, people_scene, people_take, surroundings
from d3ke_lib.data.synthetic.cameras import LOOKS, place_camera
from d3ke_lib.data.synthetic.mixtures import vary_motion
from d3ke_lib.data.synthetic.props import draw_clutter, seat
from d3ke_lib.data.synthetic.sensor import Sensor, develop, draw_sensor
from d3ke_lib.files import D3keError

T = torch.arange(3).double() / 10


@pytest.fixture(scope="module")
def skeleton():
    return default_skeleton().double()


@pytest.fixture(scope="module")
def subject(skeleton):
    """A dressed subject; skips where the package index cannot be reached."""
    try:
        people = generate._load_people()
    except D3keError as error:
        pytest.skip(str(error))
    return people_take.draw_subject(skeleton, people, 0, 1)


def perform(skeleton, subject, action, t=T, exposure=0.0, take=0):
    seed = (0, 1, take)
    instants = people_take.list_instants(t, exposure)
    motion = vary_motion(action, subject.style, instants, seed)
    taken = people_take.perform(skeleton, subject, motion, action, exposure)
    return taken, surroundings.TakeKey(action, seed, t)


# --- cameras ----------------------------------------------------------------------------------------------


def drawn(look, count=60):
    path = torch.tensor([[0.3, -0.2], [0.5, 0.4]], dtype=torch.float64)
    cameras = [place_camera(look, path, seed_generator(1, n)) for n in range(count)]
    eyes = torch.stack([-(camera.R.mT @ camera.t) for camera in cameras])
    return path, cameras, eyes


@pytest.mark.parametrize("look", ["R1", "R2", "H1"])
def test_a_drawn_camera_looks_at_the_subject_from_where_its_look_allows(look):
    path, cameras, eyes = drawn(look)
    away = torch.cdist(eyes[:, :2], path)
    assert away.min() >= 2.5
    assert away.min(1).values.max() <= 8.0
    for camera in cameras:
        torch.testing.assert_close(camera.R @ camera.R.mT, torch.eye(3).double())
        assert torch.linalg.det(camera.R) > 0
        seen = camera.R @ torch.tensor([*path.mean(0).tolist(), 0.9], dtype=torch.float64) + camera.t
        assert math.atan(float(seen[:2].norm() / seen[2])) < math.radians(14)
        assert camera.R[1, 2] < -0.7, "y is down"
    around = torch.atan2(eyes[:, 1], eyes[:, 0])
    assert len((around // (math.pi / 2)).unique()) == 4, "from all sides"


def test_the_held_out_look_shares_no_height_focal_length_or_roll_with_the_trained_ones():
    (_, trained, eyes), (_, held_out, others) = drawn("R1"), drawn("H1")
    heights, focal = eyes[:, 2], torch.stack([camera.focal[0] for camera in trained])
    assert 0.8 <= heights.min() <= heights.max() <= 2.2
    assert ((others[:, 2] < 0.8) | (others[:, 2] > 2.2)).all()
    zoom = torch.stack([camera.focal[0] for camera in held_out])
    assert ((zoom < focal.min()) | (zoom > focal.max())).all()
    assert min(abs(float(camera.R[0, 2])) for camera in held_out) > math.sin(math.radians(4))
    assert max(abs(float(camera.R[0, 2])) for camera in trained) <= math.sin(math.radians(4))


def test_the_held_out_room_has_colours_of_its_own():
    """Floors and walls of trained rooms are hardly green or purple; held-out ones are."""

    def tint(held_out):
        texture = torch.stack(
            [draw_room(seed_generator(n), held_out).texture.mean((1, 2)) for n in range(20)]
        )
        return texture[:, 1] / ((texture[:, 0] + texture[:, 2]) / 2)

    assert (tint(False) - 1).abs().median() < 0.05
    assert (tint(True) - 1).abs().median() > 0.08


def test_an_unknown_look_is_named():
    with pytest.raises(ValueError, match=r"look: expected one of PG1, PG2, R1, R2, H1, found 'R9'"):
        place_camera("R9", torch.zeros(1, 2).double(), seed_generator(0))


@pytest.mark.parametrize("look", ["R1", "H1"])
def test_markers_are_on_the_body_in_the_image(skeleton, subject, look, monkeypatch):
    """Skin markers, projected by the labels, lie on the pixels that change with the subject's colours."""
    take, key = perform(skeleton, subject, "jumping_jacks")
    monkeypatch.setattr(people_scene, "develop", lambda images, *_: images)
    dark = subject.person._replace(
        dressed=subject.person.dressed._replace(texels=torch.zeros_like(subject.person.dressed.texels))
    )
    labels, images, _ = people_scene.render_take(skeleton, take, subject, key, look, 96, 1.3)
    _, black, _ = people_scene.render_take(skeleton, take, subject._replace(person=dark), key, look, 96, 1.3)
    body = (images.int() - black.int()).abs().amax(1, keepdim=True).float() > 3
    body = torch.nn.functional.max_pool2d(body.float(), 3, 1, 1)[:, 0]
    camera = surroundings.Camera(
        torch.eye(3).double(),
        torch.zeros(3).double(),
        labels["focal"],
        labels["center"],
        torch.zeros(3, 2).double(),
    )
    at = pixels(camera, labels["markers"][:, find_skin_markers(skeleton)]).floor().long()
    assert (at >= 0).all()
    assert (at < 96).all()
    hit = torch.stack([body[i, xy[:, 1], xy[:, 0]] for i, xy in enumerate(at)])
    assert hit.mean() > 0.98
    assert body.mean() < 0.4, "most of the image is not the body"


def test_the_root_rotation_is_the_cameras_times_the_worlds(skeleton, subject):
    take, key = perform(skeleton, subject, "waving")
    labels, _, _ = people_scene.render_take(skeleton, take, subject, key, "R2", 16, 1.3)
    torch.testing.assert_close(labels["R_camera_root"], labels["R_camera_world"] @ take.pose.R_ground_root)


# --- what stands around ------------------------------------------------------------------------------------


def test_who_sits_has_a_seat(skeleton, subject):
    """Its top is where the thighs are, nothing of the body is in its back, and the feet stay on the floor."""
    t = torch.arange(0, 4, 0.2).double()
    take, key = perform(skeleton, subject, "sitting_down", t)
    scenery = surroundings.set_scene(skeleton, take, subject, key, "R1")
    standing = [prop for prop in scenery.props if prop.caster[0][2] == 0.0]
    found = surroundings._find_seat(take, subject, seed_generator(1))
    assert found is not None
    assert len(standing) >= 1
    lowest = int(take.points.joints[:, 0, 2].argmin())
    hips = take.points.joints[lowest][[skeleton.joints.index(name) for name in ("hip_r", "hip_l")]]
    top = found.vertices[:, 2].unique()
    assert ((hips[:, 2].mean() - top > 0.03) & (hips[:, 2].mean() - top < 0.18)).any()
    ankles = take.points.joints[:, [skeleton.joints.index(name) for name in ("ankle_r", "ankle_l")], :2].mean(
        1
    )
    pelvis = take.points.joints[:, 0, :2]
    assert (ankles - ankles[0]).norm(dim=-1).max() < 0.6 * (pelvis - pelvis[0]).norm(dim=-1).max()


def test_nobody_who_stands_is_given_a_seat(skeleton, subject):
    take, _ = perform(skeleton, subject, "waving")
    assert surroundings._find_seat(take, subject, seed_generator(1)) is None


def test_a_seat_is_as_high_as_asked():
    made = seat(
        torch.tensor([1.0, 2.0]).double(), torch.tensor([0.0, 1.0]).double(), 0.44, 0.3, seed_generator(4)
    )
    assert made.vertices[:, 2].min() == 0
    assert (made.vertices[:, 2] - 0.44).abs().min() < 1e-12
    a, b, c = (made.vertices[made.triangles[:, i]] for i in range(3))
    outward = torch.linalg.cross(b - a, c - a)
    assert ((outward * made.normals[made.triangles[:, 0]]).sum(-1) > 0).all()


@pytest.mark.parametrize("look", ["PG1", "R1", "H1"])
def test_nothing_is_nearer_to_the_camera_than_the_subject(skeleton, subject, look, monkeypatch):
    monkeypatch.setattr(surroundings, "_SHARE_BEHIND", 1.0)
    for take_number in range(3):
        take, key = perform(skeleton, subject, "clapping", take=take_number)
        scenery = surroundings.set_scene(skeleton, take, subject, key, look)
        far = surroundings._depths(scenery.camera, take.vertices).max()
        other, stood = scenery.bystander
        assert surroundings._depths(scenery.camera, stood.vertices).min() > far
        assert (other.scales != subject.scales).any()
        for prop in scenery.props:
            assert surroundings._depths(scenery.camera, prop.vertices).min() > far
            assert (prop.vertices[:, :2] > scenery.room.low).all()
            assert (prop.vertices[:, :2] < scenery.room.high).all()


def test_all_trained_looks_see_one_room_and_the_held_out_one_another(skeleton, subject):
    take, key = perform(skeleton, subject, "clapping")
    rooms = {look: surroundings.set_scene(skeleton, take, subject, key, look).room for look in LOOKS}
    assert torch.equal(rooms["PG1"].texture, rooms["R2"].texture)
    assert not torch.equal(rooms["PG1"].texture, rooms["H1"].texture)


def test_clutter_leaves_room_for_the_subject():
    low, high = [-7.0, -7.0], [4.0, 4.0]
    pieces = [piece for n in range(40) for piece in draw_clutter(seed_generator(n), 2.0, low, high)]
    assert len(pieces) > 40
    assert min(float(piece.vertices[:, :2].norm(dim=-1).min()) for piece in pieces) > 1.5


# --- exposure and sensor -----------------------------------------------------------------------------------


def test_labels_do_not_depend_on_the_exposure(skeleton, subject):
    (sharp, _), (blurred, _) = (perform(skeleton, subject, "jogging", exposure=e) for e in (0.0, 0.02))
    assert sharp.moved is None
    torch.testing.assert_close(blurred.points.joints, sharp.points.joints, rtol=0, atol=1e-9)
    torch.testing.assert_close(blurred.vertices, sharp.vertices, rtol=0, atol=1e-9)
    assert 0.01 < blurred.moved.norm(dim=-1).max() < 0.3


def test_what_moves_is_blurred_and_what_does_not_is_not(skeleton, subject, monkeypatch):
    monkeypatch.setattr(people_scene, "develop", lambda images, *_: images)
    take, key = perform(skeleton, subject, "jumping_jacks")
    shift = torch.tensor([0.0, 0.0, 0.12], dtype=torch.float64).expand_as(take.vertices)

    def shot(moved):
        return people_scene.render_take(skeleton, take._replace(moved=moved), subject, key, "PG1", 96, 1.3)[1]

    sharp, still, blurred = shot(None), shot(torch.zeros_like(shift)), shot(shift)
    assert torch.equal(sharp, still)
    edges = [(image.float()[:, :, 1:] - image.float()[:, :, :-1]).abs().mean() for image in (sharp, blurred)]
    assert edges[1] < 0.97 * edges[0]


def test_noise_has_the_deviation_asked_for_and_differs_between_frames():
    images = torch.full((2, 3, 40, 40), 128, dtype=torch.uint8)
    noisy = develop(images, Sensor((1.0, 1.0, 1.0), 6.0, 90), seed_generator(1)).float()
    assert abs(float(noisy.std()) - 6.0) < 0.3
    assert not torch.equal(noisy[0], noisy[1])
    warm = develop(images, Sensor((1.1, 1.0, 0.9), 0.0, 90), seed_generator(1))
    assert warm[0, :, 0, 0].tolist() == [141, 128, 115]


def test_sensors_differ_within_what_is_plausible():
    sensors = [draw_sensor(seed_generator(n)) for n in range(50)]
    assert {s.quality for s in sensors} <= {*range(70, 96)}
    assert len({s.quality for s in sensors}) > 10
    assert all(0.8 < gain < 1.2 for s in sensors for gain in s.gains)
    assert all(0 <= s.noise <= 7 for s in sensors)
