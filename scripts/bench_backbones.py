"""Every backbone's anatomy, cost and time in the frame network: python scripts/bench_backbones.py"""

import sys
from collections.abc import Sequence
from typing import Any

import _cli
import torch
from torch import Tensor, nn

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.evaluation import cost
from d3ke_lib.experiment.evaluation.evaluate import rounded
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.config import EvaluationConfig, FrameConfig
from d3ke_lib.experiment.run.train_frame import build_frame
from d3ke_lib.experiment.studies import backbone_anatomy, benchmarks
from d3ke_lib.nets import backbone
from d3ke_lib.nets.backbone import NAMES


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


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "backbones.json")
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    evaluation = EvaluationConfig(batch=given.batch, timing_batches=given.repeats)
    result = measure(NAMES, given.px, evaluation)
    artifacts.write_json(given.to, rounded(result))
    print(benchmarks.backbone_costs(result))


if __name__ == "__main__":
    sys.exit(main())
