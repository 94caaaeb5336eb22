from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from d3ke_lib.files import sha256
from d3ke_lib.nets import backbone


@pytest.fixture(scope="module")
def torchvision_net() -> torch.nn.Module:
    torch.manual_seed(3)
    net = get_model("resnext50_32x4d", weights=None).eval()
    net.layer3[0].downsample[1].running_mean += 0.1
    return net


def _torchvision_map(net: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (backbone.IMAGENET_MEAN, backbone.IMAGENET_STD))
    x = net.maxpool(net.relu(net.bn1(net.conv1((image - mean) / deviation))))
    return net.layer4(net.layer3(net.layer2(net.layer1(x))))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_file_with_classifier_fills_torchvisions_network(tmp_path, torchvision_net, suffix):
    path = tmp_path / f"weights.{suffix}"
    state = torchvision_net.state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    net = backbone.build("resnext50_32x4d", center_striding=False, weights=path).eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(net(image), _torchvision_map(torchvision_net, image))


def test_centre_striding_changes_the_shortcut_of_stage_3_only(torchvision_net):
    plain = backbone.build("resnext50_32x4d", center_striding=False)
    centred = backbone.build("resnext50_32x4d", center_striding=True)
    assert plain.state_dict().keys() == centred.state_dict().keys()
    different = [n for n, m in centred.named_modules() if type(m) is not type(plain.get_submodule(n))]
    assert different == ["layer3.0.downsample"]


def test_centred_shortcut_reads_odd_rows_and_columns():
    shortcut = backbone.CenteredShortcut(torch.nn.Conv2d(1, 1, 1, stride=2, bias=False))
    torch.nn.init.ones_(shortcut[0].weight)
    x = torch.arange(36.0).view(1, 1, 6, 6)
    assert torch.equal(shortcut(x), x[..., 1::2, 1::2])


def test_blocks_without_their_branches_pass_image_and_gradient_on():
    stage = backbone.build("resnext50_32x4d", seed=0).layer3.eval()
    x = torch.randn(1, 1024, 4, 4).relu().requires_grad_()
    for block in stage:
        torch.nn.init.zeros_(block.bn3.weight)
    same = stage[1:](x)
    same.sum().backward()
    assert torch.equal(same, x)
    assert torch.equal(x.grad, (x > 0).float())
    into = torch.randn(1, 512, 8, 8)
    assert torch.equal(stage[0](into), torch.relu(stage[0].downsample(into)))


def test_odd_map_before_stage_3_is_refused():
    net = backbone.build("resnet50")
    with pytest.raises(ValueError, match="multiples of 32"):
        net(torch.rand(2, 3, 72, 64))


def test_bytes_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        backbone.build("resnet50")(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


@pytest.mark.parametrize("name", backbone.NAMES)
def test_every_backbone_has_2048_channels_at_a_32nd(name):
    with torch.device("meta"):
        net = backbone.Backbone(name)
    assert net.to("meta")(torch.empty(1, 3, 96, 64, device="meta")).shape == (1, backbone.CHANNELS, 3, 2)


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet18'.*resnext101_32x8d"):
        backbone.build("resnet18")


def test_seed_decides_the_weights_and_leaves_the_generator_alone():
    before = torch.get_rng_state()
    first, second, third = (backbone.build("resnet50", seed=seed).conv1.weight for seed in (7, 7, 8))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("bn1.weight"), "1 missing: bn1.weight"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected: extra"),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(64, 3, 5, 5)}),
            r"misshapen: conv1.weight \(expected",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, torchvision_net, change, message):
    state = dict(torchvision_net.state_dict())
    change(state)
    save_file(state, tmp_path / "wrong.safetensors")
    with pytest.raises(ValueError, match=rf"wrong\.safetensors.*{message}"):
        backbone.build("resnext50_32x4d", weights=tmp_path / "wrong.safetensors")


def test_wrong_digest_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"sha256 is .* expected 0badc0de"):
        backbone.build("resnet50", weights=tmp_path / "w.safetensors", sha256="0badc0de")


def test_pickled_code_is_not_run(tmp_path):
    torch.save({"a": torch.zeros(1), "code": pytest.raises}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth: holds more than tensors, and no code is run"):
        backbone.build("resnet50", weights=tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, suffix):
    path, state = tmp_path / f"w.{suffix}", {"a": torch.zeros(1000)}
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="not a whole file of weights"):
        backbone.build("resnet50", weights=path)


def test_absent_file_and_absent_imagenet_weights_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(FileNotFoundError, match="no such file"):
        backbone.build("resnet50", weights=tmp_path / "none.pth")
    with pytest.raises(FileNotFoundError, match=r"no route.*: fetch https://\S+7cdf4587.pth and put it at"):
        backbone.build("resnext50_32x4d", weights="imagenet")
    with pytest.raises(ValueError, match="no IMAGENET1K_V2 weights for resnext101_64x4d"):
        backbone.build("resnext101_64x4d", weights="imagenet_v2")


def test_imagenet_weights_are_fetched_and_their_hash_checked(tmp_path, monkeypatch, torchvision_net):
    """Through torch's own download, from a file: another file than torchvision's is not kept."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.save(torchvision_net.state_dict(), tmp_path / "copy.pth")
    digest = sha256(tmp_path / "copy.pth")
    fetch = torch.hub.download_url_to_file
    url = (tmp_path / "copy.pth").as_uri()
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda _, *rest, **how: fetch(url, *rest, **how))
    with pytest.raises(FileNotFoundError, match=f'fetched .*expected "7cdf4587", got "{digest}"'):
        backbone.build("resnext50_32x4d", weights="imagenet")
    cached = tmp_path / "hub/checkpoints/resnext50_32x4d-7cdf4587.pth"
    assert not cached.exists()
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda _, path, __, **how: fetch(url, path, digest[:8], **how)
    )
    monkeypatch.setattr(backbone.weights_on_disk, "_check_digest", lambda path, expected: None)
    assert torch.equal(
        backbone.build("resnext50_32x4d", weights="imagenet").conv1.weight, torchvision_net.conv1.weight
    )
    assert cached.is_file()


def test_imagenet_weights_come_from_torchs_cache_and_are_checked(tmp_path, monkeypatch, torchvision_net):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    path = tmp_path / "hub/checkpoints/resnext50_32x4d-7cdf4587.pth"
    torch.save(torchvision_net.state_dict(), path)
    with pytest.raises(ValueError, match="expected 7cdf4587"):
        backbone.build("resnext50_32x4d", weights="imagenet")
    monkeypatch.setattr(backbone.weights_on_disk, "_check_digest", lambda path, expected: None)
    net = backbone.build("resnext50_32x4d", weights="imagenet")
    assert torch.equal(net.conv1.weight, torchvision_net.conv1.weight)
