"""What is kept for the backward pass is counted, not guessed."""

import bench_backbones
import pytest
import torch
from torch import nn

from d3ke_lib.experiment.studies import benchmarks
from d3ke_lib.nets import backbone


def test_activations_of_a_network_that_can_be_counted_by_hand():
    net = nn.Sequential(nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 2))
    image = torch.rand(5, 10)
    assert bench_backbones.activation_bytes(net, image) == 4 * (5 * 10 + 5 * 6)  # both layers' inputs
    on_meta = bench_backbones.activation_bytes(net.to("meta"), image.to("meta"))
    assert on_meta == 4 * (5 * 10 + 5 * 6)


def test_activations_grow_with_images_and_with_pixels():
    with torch.device("meta"):
        net = backbone.Backbone("resnext50_32x4d")
        one, two, wide = (torch.empty(shape) for shape in ((2, 3, 64, 64), (4, 3, 64, 64), (2, 3, 128, 128)))
    first, second, larger = (
        bench_backbones.activation_bytes(net.to("meta"), each) for each in (one, two, wide)
    )
    assert second / first == pytest.approx(2, rel=0.01)
    assert larger / first == pytest.approx(4, rel=0.02)


def test_a_row_names_depth_width_and_cost():
    row = {
        "backbone": "resnet50",
        "layers": 50,
        "cardinality": 1,
        "group_width": 64,
        "parameters": 23_766_206,
        "multiply_adds": 1_334_000_000,
        "activation_bytes": 29_000_000,
        "latency_ms": 21.04,
        "images_per_second": 88.2,
    }
    machine = {"gpu": None, "processor": "a processor", "threads": 2}
    written = benchmarks.backbone_costs({"rows": [row], "px": 128, "machine": machine})
    assert "| resnet50 | 50 | 1 × 64 | 23.8 | 1.33 | 29.0 | 21.0 | 88 |" in written
    assert written.endswith("Images of 128 px, float32, on a processor, 2 threads.")
