from copy import deepcopy
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from d3ke_lib.nets import backbone, frame, losses
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.released import checkpoints


@pytest.fixture(scope="module")
def net(skeleton) -> FrameNet:
    return frame.build(skeleton, seed=1).eval()


def _fields(output):
    (angles, scales, R), points = output
    return (angles, scales, R, *points)


def test_shapes_and_ranges_at_every_size_a_batch_of_one_included(net, skeleton):
    for size in ((1, 3, 64, 64), (3, 3, 96, 64)):
        with torch.no_grad():
            pose, points = net(torch.rand(size))
        assert pose.angles.shape == (size[0], 69)
        assert pose.scales.shape == (size[0], 48, 3)
        assert points.joints.shape == (size[0], 50, 3)
        assert points.markers.shape == (size[0], 65, 3)
        assert ((pose.angles - skeleton.angle_middle).abs() <= skeleton.angle_half).all()
        torch.testing.assert_close(points.joints[:, 0], torch.zeros(size[0], 3))


def test_weights_are_the_backbones_and_one_linear_layers(net):
    head = sum(weight.numel() for weight in net.head.parameters())
    assert head == (6 + 51 + 69) * (backbone.CHANNELS + 1)
    assert sum(weight.numel() for weight in net.skeleton.parameters()) == 0


def test_frames_of_a_batch_do_not_see_each_other_in_evaluation(net):
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        together, alone = _fields(net(images)), _fields(net(images[1:]))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-5)


def test_squash_after_the_mean_is_another_network_with_the_same_weights(skeleton, net):
    other = frame.build(skeleton, seed=1, squash="after_mean").eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        cells = net.head(net.backbone(image))
        unit = (2 * torch.sigmoid(cells.mean((2, 3))) - 1)[:, 6 + 51 :]
        expected = skeleton.angle_middle + unit * skeleton.angle_half
        torch.testing.assert_close(other(image)[0].angles, expected)
        assert not torch.allclose(net(image)[0].angles, expected)
    with pytest.raises(ValueError, match="unknown squash"):
        FrameNet(skeleton, squash="never")


def test_camera_values_are_off_by_default_and_change_nothing_at_first(skeleton, net):
    with_camera = frame.build(skeleton, seed=1, camera_input=True).eval()
    state, extended = net.state_dict(), with_camera.state_dict()
    assert extended.keys() - state.keys() == {"camera_head.weight"}
    assert extended["camera_head.weight"].shape == (126, frame.CAMERA_VALUES)
    assert all(torch.equal(extended[key], value) for key, value in state.items())
    image, camera = torch.rand(2, 3, 64, 64), torch.randn(2, frame.CAMERA_VALUES)
    with torch.no_grad():
        plain, seen = _fields(net(image)), _fields(with_camera(image, camera))
        assert all(torch.equal(a, b) for a, b in zip(plain, seen))
        with_camera.camera_head.weight[6:57, 0] = 0.1  # the unique scale factors'
        (_, larger, *_), _ = with_camera(image, camera.abs())
    assert (larger >= seen[1]).all()
    assert (larger > seen[1]).float().mean() > 0.9  # some factors have no amplitude


def test_camera_values_are_given_where_they_are_read(skeleton, net):
    image = torch.rand(2, 3, 64, 64)
    with pytest.raises(ValueError, match=r"camera values of the crops: expected None, found \(2, 4\)"):
        net(image, torch.zeros(2, 4))
    with_camera = frame.build(skeleton, seed=1, camera_input=True)
    for camera, found in ((None, "None"), (torch.zeros(2, 3), r"\(2, 3\)")):
        with pytest.raises(ValueError, match=rf"expected \(2, 4\), found {found}"):
            with_camera(image, camera)
    pose, _ = with_camera(image, torch.ones(2, 4))
    pose.scales.sum().backward()
    assert with_camera.camera_head.weight.grad.abs().sum() > 0


def test_autocast_is_close_to_float32_and_its_geometry_is_float32(net):
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        exact = _fields(net(image))
        with torch.autocast("cpu", torch.bfloat16):
            rough = _fields(net(image))
    for a, b in zip(exact, rough, strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=0.05, rtol=0.02)
    R = rough[2]
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-6, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_predicts_as_the_cpu_does_and_trains_under_autocast(skeleton, labelled, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net, image = frame.build(deepcopy(skeleton), seed=1).eval(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = _fields(net(image))
        net.cuda()
        for a, b in zip(expected, _fields(net(image.cuda())), strict=True):
            torch.testing.assert_close(b.cpu(), a, atol=5e-3, rtol=5e-3)
    (pose, points), valid = labelled(2)
    pose, points, valid = (type(part)(*(f.cuda() for f in part)) for part in (pose, points, valid))
    with torch.autocast("cuda", torch.bfloat16):
        prediction = net.train()(image.cuda())
    assert {f.dtype for f in _fields(prediction)} == {torch.float32}
    losses.total(losses.losses(prediction, (pose, points), valid, net.skeleton)).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_gradients_reach_every_parameter(skeleton, labelled):
    net = frame.build(skeleton, seed=2)
    for name, parameter in net.named_parameters():
        if name.endswith("bn3.weight"):  # at 0 a residual branch gets its first gradient one step later
            torch.nn.init.ones_(parameter)
    target, valid = labelled(2)
    losses.total(losses.losses(net(torch.rand(2, 3, 64, 64)), target, valid, skeleton)).backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_over_fits_one_batch(skeleton, labelled):
    net = frame.build(skeleton, seed=2)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        setattr(net.backbone, stage, getattr(net.backbone, stage)[:1])  # a third of the time
    image, (target, valid) = torch.rand(4, 3, 32, 32), labelled(4)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-4, foreach=True)
    history = []
    for _ in range(20):
        history.append(losses.losses(net(image), target, valid, skeleton))
        optimiser.zero_grad()
        losses.total(history[-1]).backward()
        optimiser.step()
    assert history[-1].angle < 0.7 * history[0].angle
    assert history[-1].joint < 0.6 * history[0].joint


def test_checkpoint_round_trip_is_bit_equal(net, skeleton, tmp_path):
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    other = FrameNet(skeleton).eval()
    other.load_state_dict(load_file(tmp_path / "net.safetensors"), strict=True)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(_fields(net(image)), _fields(other(image)), strict=True):
            assert torch.equal(a, b)


def test_checkpoint_holds_nothing_of_the_skeleton(net):
    assert not [key for key in net.state_dict() if not key.startswith(("backbone.", "head."))]


PARITY = (
    ("frame_resnext50_32x4d", "resnext50_32x4d", True, 2),
    ("frame_resnext50_32x4d_no_center", "resnext50_32x4d", False, 2),
    ("frame_resnext101_32x8d", "resnext101_32x8d", True, 1),
)


@pytest.mark.parametrize(("vectors", "name", "centre", "batch"), PARITY, ids=[case[0] for case in PARITY])
def test_equals_the_released_network(
    released_skeleton, released_state, uniform, difference, vectors, name, centre, batch
):
    net = FrameNet(released_skeleton, name, centre).eval()
    checkpoints.load_released(net, released_state(f"frame_{name}"))
    with torch.no_grad():
        far = partial(difference, vectors)(*net(uniform("image", (batch, 3, 256, 256))))
    assert far["angles"] < 1e-5
    assert max(far["scales"], far["R_ground_root"]) < 1e-5
    assert max(far["joints"], far["markers"]) < 1e-5


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 72, 64), "sides are multiples of 32"),
        ((1, 4, 64, 64), r"expected images \(batch, 3, height, width\), found \(1, 4, 64, 64\)"),
        ((3, 64, 64), r"expected images \(batch, 3, height, width\), found \(3, 64, 64\)"),
        ((0, 3, 64, 64), r"expected images .* found \(0, 3, 64, 64\)"),
    ],
)
def test_images_of_another_shape_are_refused(net, shape, message):
    with pytest.raises(ValueError, match=message), torch.no_grad():
        net(torch.rand(shape))


def test_one_image_trains_unless_its_map_is_a_single_cell(skeleton):
    net = frame.build(skeleton, seed=1)
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        setattr(net.backbone, stage, getattr(net.backbone, stage)[:1])
    assert net(torch.rand(1, 3, 64, 64))[0].angles.isfinite().all()
    with pytest.raises(ValueError, match=r"one image of 32×32 makes a map of 1×1; take two"):
        net(torch.rand(1, 3, 32, 32))
    assert net.eval()(torch.rand(1, 3, 32, 32))[0].angles.isfinite().all()
