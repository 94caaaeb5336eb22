"""All backbones in one table: anatomy, cost that is counted, and time that is measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.report.tables import Table, markdown
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import EvaluationConfig, FrameConfig
from d3ke_lib.experiment.run.train_frame import build_frame
from d3ke_lib.experiment.studies import backbone_anatomy
from d3ke_lib.nets import backbone


def activation_bytes(net: nn.Module, image: Tensor) -> int:
    """Memory that the forward pass keeps for the backward pass, weights left out; also on the meta device."""
    own = {value.untyped_storage()._cdata for value in (*net.parameters(), *net.buffers())}
    kept: dict[int, Any] = {}  # storages stay alive here, so that no address is given twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        prediction = net.train()(image)
    found = sum(storage.nbytes() for storage in kept.values())
    del prediction
    return found


def measure(names: Sequence[str], px: int, evaluation: EvaluationConfig) -> dict[str, Any]:
    """A row per backbone of D3KE's frame network at px × px, float32; activations of one image of a batch."""
    rows = [_row(name, px, evaluation) for name in names]
    return {"schema": 1, "machine": devices.describe(), "px": px, "rows": rows}


def _row(name: str, px: int, evaluation: EvaluationConfig) -> dict[str, Any]:
    built = backbone_anatomy.anatomy(name)
    settings = FrameConfig(backbone=name, px=px, weights=None, precision="fp32")
    found = cost.frame_cost(build_frame(settings, default_skeleton()), settings, evaluation)
    with torch.device("meta"):
        bare, images = backbone.Backbone(name), torch.empty(2, 3, px, px)
    return {
        "backbone": name,
        "layers": built.layers,
        "blocks": list(built.blocks),
        "cardinality": built.cardinality,
        "group_width": built.group_width,
        **{
            key: found[key]
            for key in ("parameters", "multiply_adds", "latency_ms", "images_per_second", "batch")
        },
        "activation_bytes": activation_bytes(bare.to("meta"), images) // 2,
    }


def table(result: Mapping[str, Any]) -> Table:
    header = (
        "backbone",
        "layers",
        "groups × width",
        "parameters [million]",
        "multiply–adds [10⁹]",
        "activations per image [MB]",
        "one alone [ms]",
        "in batches [1/s]",
    )
    rows = [
        (
            row["backbone"],
            str(row["layers"]),
            f"{row['cardinality']} × {row['group_width']}",
            f"{row['parameters'] / 1e6:.1f}",
            f"{row['multiply_adds'] / 1e9:.2f}",
            f"{row['activation_bytes'] / 1e6:.1f}",
            f"{row['latency_ms']:.1f}",
            f"{row['images_per_second']:.0f}",
        )
        for row in result["rows"]
    ]
    return Table(header, tuple(rows))


def recorded(home: Path) -> str:
    """The table of data/results/backbones.json in the repository `home`, as Markdown, and its machine."""
    path = home / "data" / "results" / "backbones.json"
    if not path.is_file():
        return "*Not measured yet: `make bench`.*"
    result = artifacts.read_json(path)
    machine = result["machine"]
    where = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    return f"{markdown(table(result))}\n\nImages of {result['px']} px, float32, on {where}."
