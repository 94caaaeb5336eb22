"""Arithmetic that gives the same bits on every x86-64 processor, for what records are made of.

Sums, products, quotients and comparisons of single numbers round alike everywhere. What does not, in PyTorch:
functions and matrix products that the maths library chooses by processor, reductions in the order of a vector
register, and multiply-adds that are fused only where the processor can. Within `Portable` such operations on
the CPU are carried out as sequences of those that do. They follow fdlibm (sine, cosine) and Taylor's series.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from d3ke_lib.data.portable import functions, images, sums

_P, _R = ParamSpec("_P"), TypeVar("_R")


class Portable(TorchDispatchMode):
    """Replaces the operations of `_REPLACED` on the CPU; `others`: those neither there nor in `_EXACT`."""

    def __init__(self) -> None:
        super().__init__()
        self.others: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._overloadpacket.__name__
        if (name not in _EXACT or "alpha" in kwargs) and _on_cpu(args, kwargs):
            if replacement := _REPLACED.get(name):
                return replacement(*args, **kwargs)
            self.others.add(name)
        return func(*args, **kwargs)


def portable(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, carried out within `Portable` and without gradients."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with torch.no_grad(), Portable():
            return function(*args, **kwargs)

    return wrapped


def _on_cpu(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether floating numbers are computed, and on the CPU."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    tensors += [t for a in args if isinstance(a, list | tuple) for t in a if isinstance(t, Tensor)]
    if not tensors:
        return torch.device(kwargs.get("device") or "cpu").type == "cpu"
    return any(t.is_floating_point() or t.is_complex() for t in tensors) and tensors[0].device.type == "cpu"


_REPLACED: dict[str, Callable[..., Any]] = {
    **{name: functions.in_double(getattr(functions, name)) for name in ("sin", "cos", "exp", "log", "tanh")},
    "sqrt": functions.square_root,
    "sqrt_": functions.square_root_in_place,
    "pow": functions.power,
    "pow_": functions.power_in_place,
    **{name: sums.matrix_product for name in ("mm", "bmm")},
    **{name: sums.add_product for name in ("addmm", "baddbmm")},
    **{name: sums.norm for name in ("norm", "linalg_vector_norm")},
    **{name: sums.distances for name in ("_cdist_forward", "_euclidean_dist")},
    "mv": sums.matrix_vector,
    "dot": sums.dot,
    "sum": sums.sum_over,
    "mean": sums.mean_over,
    "prod": sums.multiply_out,
    "add": sums.add,
    "sub": sums.subtract,
    "addcmul": sums.add_scaled_product,
    "lerp": sums.interpolate,
    "linalg_cross": sums.cross,
    "_softmax": sums.softmax,
    "logsumexp": sums.log_sum_exp,
    "_linalg_solve_ex": sums.solve,
    "randn": images.draw_normal,
    "linspace": images.space_evenly,
    "upsample_bilinear2d": images.enlarge,
    "grid_sampler_2d": images.sample,
}
# Single numbers rounded once, and what only moves, compares or draws uniform ones.
_HARMLESS = """
abs abs_ add add_ amax amin any argmax argmin ceil clamp clamp_ clamp_max clamp_min deg2rad div div_ eq
floor floor_ ge gt le lt max maximum min minimum mul mul_ ne neg neg_ reciprocal remainder round rsqrt
rsub sign sort sub sub_ where
_local_scalar_dense _to_copy _unsafe_view alias arange cat clone constant_pad_nd copy_ detach diag_embed
diagonal empty empty_like expand eye fill_ flip full full_like gather index index_add_ index_put_
index_select lift_fresh movedim new_empty new_full new_ones new_zeros ones ones_like permute rand randint
repeat roll scalar_tensor scatter_ select slice split split_with_sizes squeeze stack t to transpose
unbind unsqueeze unsqueeze_ view view_as_real zero_ zeros zeros_like
"""
_EXACT = frozenset(_HARMLESS.split())
