"""State dicts in the released D3KE's naming ↔ our networks; strict, and without running anyone's code."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from d3ke_lib.nets import weights
from d3ke_lib.nets.frame import FrameNet
from d3ke_lib.nets.lstm import LSTM
from d3ke_lib.nets.released.skeleton_constants import sort_out
from d3ke_lib.nets.tcn import TCN
from d3ke_lib.nets.temporal import Refiner
from d3ke_lib.nets.transformer import Transformer

# Replacements in our keys, in this order, give theirs.
_Rules = tuple[tuple[str, str], ...]
_FRAME: _Rules = (
    ("backbone.conv1.", "resnet50Layer.resnet50.0."),
    ("backbone.bn1.", "resnet50Layer.resnet50.1."),
    *((f"backbone.layer{stage}.", f"resnet50Layer.resnet50.{stage + 3}.") for stage in (1, 2, 3, 4)),
    ("head.", "conv_resnet50_opensim.0."),
)
_TRANSFORMER: _Rules = (
    ("net.blocks.", "net.vanillaEncoder.encoderLayers."),
    ("net.strided.", "net.stridedEncoder.strideEncoderLayers."),
    ("net.expand.", "net.expandingLayer."),
    ("net.shrink_all.", "net.vanillaShrinkLayer."),
    ("net.shrink_target.", "net.stridedShrinkLayer."),
    (".attention.", ".selfAttention."),
    (".expand.", ".conv1."),
    (".shrink.", ".conv2."),
    (".norm", ".layerNorm"),
)
_LSTM: _Rules = (("net.shrink.", "net.linearLayer."),)
_TEMPORAL_PREFIX: _Rules = (("net.", "temporalModel.temporalModel."),)


def load_released(
    net: FrameNet | Refiner, source: Mapping[str, Tensor] | str | Path, *, ignore: Sequence[str] = ()
) -> None:
    """Fill `net` from a state dict, or a .safetensors/.pth file, in the released code's naming.

    Their checkpoints also hold thousands of the skeleton's constants: they are dropped after their numbers
    agreed with `net.skeleton`'s (skeleton_constants.py).  Raises ValueError saying what differs for those of
    another skeleton, and naming every other key that is missing, unexpected or misshapen.
    `ignore`: beginnings of keys to leave out unread.
    """
    from_file = isinstance(source, str | Path)
    found = weights.read(source) if from_file else source
    state = {key: value for key, value in found.items() if not key.startswith(tuple(ignore))}
    own, theirs = net.state_dict(), names(net)
    shapes = {theirs[key]: _their_shape(net, key, value) for key, value in own.items()}
    inside = {name: value for name, value in state.items() if name.startswith(_roots(theirs.values()))}
    outside = {name: value for name, value in state.items() if name not in inside}
    constants, difference = sort_out(net.skeleton, outside, theirs.values()) if outside else (set(), "")
    rest = {name: value for name, value in outside.items() if name not in constants}
    faults = weights.misfits(shapes, inside | rest) + [difference] * bool(difference)
    if faults:
        where = str(source) if from_file else "state dict"
        raise ValueError(f"{where}: released weights do not fit {type(net).__name__}: " + "; ".join(faults))
    net.load_state_dict({key: state[theirs[key]].reshape(value.shape) for key, value in own.items()})


def _roots(names: Iterable[str]) -> tuple[str, ...]:
    """Modules of theirs that hold nothing but the network: the first two names of each key."""
    return tuple(sorted({".".join(name.split(".")[:2]) + "." for name in names}))


def export(net: FrameNet | Refiner) -> dict[str, Tensor]:
    """The network's state dict in the released code's naming and shapes; `load_released` takes it back."""
    theirs = names(net)
    return {
        theirs[key]: value.detach().reshape(_their_shape(net, key, value)).clone()
        for key, value in net.state_dict().items()
    }


def names(net: FrameNet | Refiner) -> dict[str, str]:
    """Our state-dict keys → theirs."""
    rules = _rules(net)
    return {key: _replaced(key, rules) for key in net.state_dict()}


def _rules(net: FrameNet | Refiner) -> _Rules:
    if isinstance(net, FrameNet):
        return _FRAME
    kinds = {Transformer: _TRANSFORMER, LSTM: _LSTM}
    inner = _tcn_rules(len(net.net.blocks)) if isinstance(net.net, TCN) else kinds[type(net.net)]
    return inner + _TEMPORAL_PREFIX


def _tcn_rules(blocks: int) -> _Rules:
    """Theirs keeps the two convolutions, and the two norms, of all blocks in one list each."""
    inside = (("wide", "conv", 0), ("norm1", "bn", 0), ("point", "conv", 1), ("norm2", "bn", 1))
    pairs = (
        (f"net.blocks.{i}.{ours}.", f"net.layers_{theirs}.{2 * i + second}.")
        for i in range(blocks)
        for ours, theirs, second in inside
    )
    return (("net.expand.", "net.expand_conv."), ("net.norm.", "net.expand_bn."), *pairs)


def _replaced(key: str, rules: _Rules) -> str:
    for ours, theirs in rules:
        key = key.replace(ours, theirs)
    return key


def _their_shape(net: nn.Module, key: str, value: Tensor) -> tuple[int, ...]:
    """Where we have a linear layer over frames they have a convolution of width 1."""
    module, _, entry = key.rpartition(".")
    is_linear = type(net.get_submodule(module)) is nn.Linear and entry == "weight"
    return (*value.shape, 1) if is_linear else tuple(value.shape)
