import json

import pytest
import torch
from safetensors.torch import save_file

from d3ke_lib.nets import frame, temporal
from d3ke_lib.nets.released import checkpoints


@pytest.fixture(scope="module")
def net(skeleton):
    return temporal.build_refiner("transformer", skeleton, 27, seed=1, channels=16, hidden=24, heads=2)


def test_names_and_shapes_are_those_of_the_released_networks(shared, skeleton):
    keys = json.loads((shared / "parity/keys.json").read_text())
    nets = {"frame_resnext50_32x4d": frame.FrameNet(skeleton)}
    nets |= {f"temporal_{kind}": temporal.build_refiner(kind, skeleton) for kind in temporal.KINDS}
    for name, net in nets.items():
        ours = {key: list(value.shape) for key, value in checkpoints.export(net).items()}
        assert ours == keys[name], name


@pytest.mark.parametrize("suffix", [None, "safetensors", "pth"])
def test_what_is_exported_comes_back(net, skeleton, suffix, tmp_path):
    state = checkpoints.export(net)
    other = temporal.build_refiner("transformer", skeleton, 27, seed=2, channels=16, hidden=24, heads=2)
    path = tmp_path / f"theirs.{suffix}"
    if suffix:
        save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    checkpoints.load_released(other, path if suffix else state)
    ours, back = net.state_dict(), other.state_dict()
    assert all(torch.equal(ours[key], back[key]) for key in ours)


@pytest.mark.parametrize("kind", temporal.KINDS)
def test_every_key_has_one_name(kind, skeleton):
    sizes = {"layers": 2} if kind == "lstm" else {}
    names = checkpoints.names(temporal.build_refiner(kind, skeleton, 9, **sizes))
    assert len(set(names.values())) == len(names)
    assert all(name.startswith("temporalModel.temporalModel.") for name in names.values())


KEY = "temporalModel.temporalModel.expandingLayer"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(f"{KEY}.bias"), rf"1 missing: {KEY}\.bias"),
        (lambda s: s.update({"skeleton.extra": torch.zeros(1)}), r"1 unexpected: skeleton\.extra"),
        (
            lambda s: s.update({f"{KEY}.bias": torch.zeros(3)}),
            r"1 misshapen: .*bias \(expected \(16,\), found \(3,\)",
        ),
    ],
)
def test_keys_that_do_not_fit_are_named_and_nothing_is_loaded(net, change, message):
    state, before = checkpoints.export(net), checkpoints.export(net)
    state[f"{KEY}.weight"] += 1
    change(state)
    with pytest.raises(ValueError, match=rf"state dict: released weights do not fit Refiner.*{message}"):
        checkpoints.load_released(net, state)
    assert all(torch.equal(value, before[key]) for key, value in checkpoints.export(net).items())


def test_constants_of_their_skeleton_are_left_out_only_when_named(net):
    state = checkpoints.export(net) | {"openSimTree.a": torch.zeros(2), "openSimTree.b": torch.zeros(2)}
    with pytest.raises(ValueError, match=r"2 unexpected: openSimTree\.a, openSimTree\.b"):
        checkpoints.load_released(net, state)
    checkpoints.load_released(net, state, ignore=["openSimTree."])


def _their_constants(skeleton, moved: float = 0.0) -> dict[str, torch.Tensor]:
    """A skeleton as some checkpoint may hold it: markers in a table, joints in 4 × 4 matrices, and more."""
    markers = {m.name: m.location for m in skeleton.body.markers}
    positions = torch.tensor([markers[name] for name in skeleton.markers])
    positions[40] += moved
    state = {"openSimTree.positions": positions.mT, "openSimTree.ranges": skeleton.ranges}
    for joint in skeleton.body.joints:
        matrix = torch.eye(4)
        matrix[:3, 3] = torch.tensor(joint.parent.translation)
        state[f"openSimTree.joints.{joint.name}.offset"] = matrix
    return state


def test_constants_of_the_same_skeleton_are_dropped(net, skeleton):
    state = checkpoints.export(net) | _their_constants(skeleton)
    checkpoints.load_released(net, state)
    with pytest.raises(ValueError, match=r"1 unexpected: other\.bias$"):
        checkpoints.load_released(net, state | {"other.bias": torch.zeros(5)})


def test_constants_of_another_skeleton_are_refused_with_the_difference(net, skeleton):
    moved = checkpoints.export(net) | _their_constants(skeleton, moved=0.02)
    with pytest.raises(
        ValueError, match=r"another skeleton, 1 of \d+ positions differ: marker [LR]HEE \(exp.*near"
    ):
        checkpoints.load_released(net, moved)
    scaled = {key: 1.07 * value for key, value in _their_constants(skeleton).items()}
    with pytest.raises(ValueError, match=r"another skeleton, \d\d+ of \d+ positions differ: (joint|marker) "):
        checkpoints.load_released(net, checkpoints.export(net) | scaled)


def test_weights_of_another_backbone_are_named(skeleton):
    with torch.device("meta"):
        ours, deeper = frame.FrameNet(skeleton, "resnet50"), frame.FrameNet(skeleton, "resnext101_32x8d")
    with pytest.raises(
        ValueError, match=r"\d+ unexpected: resnet50Layer.* misshapen: .*expected \(64,\), found \(256,\)"
    ):
        checkpoints.load_released(ours, checkpoints.export(deeper))


def test_a_prefix_that_hides_the_network_is_noticed(net):
    with pytest.raises(ValueError, match="missing"):
        checkpoints.load_released(net, checkpoints.export(net), ignore=["temporalModel."])
