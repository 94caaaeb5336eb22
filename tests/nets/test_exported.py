"""A network goes into one file and comes out the same; another skeleton or a changed file is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from d3ke_lib.files import sha256
from d3ke_lib.nets import build_refiner, export_network, load_network, points

OPTIONS = {"kind": "lstm", "window": 5, "causal": True}


@pytest.fixture
def file(skeleton, tmp_path):
    net = build_refiner(skeleton=skeleton, seed=1, **OPTIONS)
    return export_network(tmp_path / "lstm.safetensors", net, OPTIONS, {"kind": "temporal"})


def rewrite(path, change) -> None:
    """The same file with `change(tensors, header)` carried out."""
    with safe_open(path, framework="pt") as opened:
        header = json.loads(opened.metadata()["about"])
    tensors = load_file(path)
    change(tensors, header)
    save_file(tensors, path, metadata={"about": json.dumps(header)})


def test_weights_options_and_description_come_back(skeleton, file):
    net, about = load_network(file, skeleton, sha256=sha256(file)[:12])
    ours = build_refiner(skeleton=skeleton, seed=1, **OPTIONS)
    assert about["kind"] == "temporal"
    assert not net.training
    assert all(torch.equal(net.state_dict()[name], value) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(
    "options", [{"predicts": "points"}, {"kind": "tcn", "window": 9, "predicts": "points"}]
)
def test_networks_of_points_come_back(skeleton, tmp_path, options):
    options = options | {"predicts": "points"}
    if "kind" in options:
        net = build_refiner(skeleton=skeleton, seed=1, **options)
    else:
        net = points.build(skeleton, seed=1)
    path = export_network(tmp_path / "points.safetensors", net, options, {})
    found, _ = load_network(path, skeleton)
    assert type(found) is type(net)
    assert all(torch.equal(found.state_dict()[name], value) for name, value in net.state_dict().items())


def test_another_file_is_refused(skeleton, file):
    with pytest.raises(ValueError, match=r"lstm\.safetensors: sha256 is \w{64}, expected abc"):
        load_network(file, skeleton, sha256="abc")

    def move(tensors: dict, header: dict) -> None:
        next(value for name, value in tensors.items() if name.startswith("net.")).add_(1e-3)

    rewrite(file, move)
    with pytest.raises(ValueError, match=r"lstm\.safetensors: expected weights of SHA-256 \w{64}, found"):
        load_network(file, skeleton)


def test_a_file_of_plain_weights_is_refused(skeleton, tmp_path):
    path = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="expected a network of `make export-weights`, found a header"):
        load_network(path, skeleton)
    with pytest.raises(FileNotFoundError, match="none"):
        load_network(tmp_path / "none.safetensors", skeleton)


@pytest.mark.parametrize("part", ["ranges", "rest", "bent", "scale_half"])
def test_another_skeletons_numbers_are_refused(skeleton, file, part):
    def move(tensors: dict, header: dict) -> None:
        tensors[f"skeleton.{part}"].view(-1)[7] += 1e-3

    rewrite(file, move)
    with pytest.raises(ValueError, match=f"another skeleton: expected our numbers in '{part}', found others"):
        load_network(file, skeleton)


def test_another_skeletons_names_are_refused(skeleton, file):
    rewrite(file, lambda tensors, header: header["skeleton"]["markers"].__setitem__(3, "NOSE"))
    with pytest.raises(ValueError, match=r"another skeleton: expected our markers, found \['.*NOSE.*'\]"):
        load_network(file, skeleton)
