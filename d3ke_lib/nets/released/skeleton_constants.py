"""Is a released checkpoint's skeleton ours?  Told by its numbers, since its thousands of keys are not ours.

Wherever a checkpoint keeps them, the constants of a skeleton hold the positions of its markers in their
bodies and of its joints in their parents: three numbers in a row, in a column, or in a 4 × 4 matrix.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from d3ke_lib.body.pose import SkeletonLayer

_TOLERANCE = 1e-5  # m: ten times what float32 rounds off a metre's worth of sums


def sort_out(
    skeleton: SkeletonLayer, state: Mapping[str, Tensor], known: Iterable[str]
) -> tuple[set[str], str]:
    """Keys of `state` that are the skeleton's constants, and how its positions differ from ours ("": not).

    Keys count by the module they are in (their first name; the first two within modules of `known`): all of a
    module's are constants when it holds one of our positions.
    """
    positions, modules = local_positions(skeleton), _by_module(state, known)
    names, wanted = list(positions), np.array(list(positions.values()))
    each = [np.concatenate([_triples(state[key]) for key in keys]) for keys in modules.values()]
    triples, module = np.concatenate(each), np.repeat(np.arange(len(each)), [len(some) for some in each])
    # Left and right often share a position: ours must be there as often as we have it.
    earlier = [_equal_before(i, wanted) for i in range(len(wanted))]
    if len(triples) <= max(earlier):
        return set(), ""
    distance, index = KDTree(triples).query(wanted, k=range(1, 2 + max(earlier)))
    found = set(module[index[distance < _TOLERANCE]].tolist())
    theirs = {key for i, keys in enumerate(modules.values()) if i in found for key in keys}
    own = np.arange(len(wanted)), earlier
    wrong = [i for i in np.argsort(-distance[own]) if distance[own][i] >= _TOLERANCE]
    return theirs, _difference([(names[i], wanted[i], triples[index[own][i]]) for i in wrong], len(names))


def _equal_before(i: int, positions: Float[np.ndarray, "point 3"]) -> int:
    """How many positions before the i-th are the same."""
    return int((np.abs(positions[:i] - positions[i]).max(1) < _TOLERANCE).sum()) if i else 0


def local_positions(skeleton: SkeletonLayer) -> dict[str, Float[np.ndarray, "3"]]:
    """Where markers are in their bodies and joints in their parents, m; those at the origin tell nothing."""
    markers = {f"marker {m.name}": m.location for m in skeleton.body.markers if m.name in skeleton.markers}
    joints = {
        f"joint {j.name}": j.parent.translation for j in skeleton.body.joints if j.name in skeleton.order
    }
    return {name: np.array(position) for name, position in (markers | joints).items() if any(position)}


def _by_module(state: Mapping[str, Tensor], known: Iterable[str]) -> dict[str, list[str]]:
    shared, modules = {name.partition(".")[0] for name in known}, {}
    for key in state:
        first, *rest = key.split(".")
        modules.setdefault(".".join([first, *rest[:1]]) if first in shared else first, []).append(key)
    return modules


def _triples(tensor: Tensor) -> Float[np.ndarray, "triple 3"]:
    values = tensor.double().numpy()
    found = [np.lib.stride_tricks.sliding_window_view(values.ravel(), 3)] if values.size >= 3 else []
    if values.ndim >= 2 and values.shape[-2] >= 3:
        found.append(values[..., :3, :].swapaxes(-1, -2).reshape(-1, 3))
    return np.concatenate([np.zeros((0, 3)), *found])


def _difference(wrong: list[tuple[str, np.ndarray, np.ndarray]], total: int, shown: int = 4) -> str:
    if not wrong:
        return ""
    some = [f"{name} (expected {_written(ours)}, nearest {_written(found)})" for name, ours, found in wrong]
    more = f", … {len(wrong) - shown} more" if len(wrong) > shown else ""
    return f"another skeleton, {len(wrong)} of {total} positions differ: " + ", ".join(some[:shown]) + more


def _written(position: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.5g}" for value in position) + ") m"
