"""A skeleton as a function of the unknown coordinates alone: amounts of its joint axes, links, markers.

Whatever the unknowns do not change (coordinates at rest, scaled links, chains of linear functions) is
computed once per problem, and all non-linear functions are evaluated together, with their derivatives.
Components come first and frames last, as in tree.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.functions import Function
from d3ke_lib.body.tree import PosedTree, pose_tree


class _Affine(NamedTuple):
    """slope · rows[row] + offset, a constant where slope is 0."""

    row: int
    slope: float
    offset: float

    def through(self, slope: float, offset: float) -> "_Affine":
        return _Affine(self.row, slope * self.slope, slope * self.offset + offset)


class _FunctionTable:
    """Piecewise polynomials evaluated together, each at `slope · rows[row] + offset`."""

    def __init__(self, functions: list[Function], inputs: list[_Affine], like: Tensor) -> None:
        pieces = max(len(f.knots) for f in functions)
        degree = max(len(row) for f in functions for row in f.coefficients)
        knots = torch.full((len(functions), pieces), torch.inf, dtype=torch.float64)
        table = torch.zeros(len(functions), pieces, degree, dtype=torch.float64)
        for i, function in enumerate(functions):
            knots[i, : len(function.knots)] = torch.tensor(function.knots, dtype=torch.float64)
            for j, row in enumerate(function.coefficients):
                table[i, j, : len(row)] = torch.tensor(row, dtype=torch.float64)
        knots[:, 0] = knots[:, 0].clamp(max=1e30)
        self.knots, self.coefficients = knots.to(like), table.flatten(0, 1).to(like)
        self.first = torch.arange(len(functions), device=like.device)[:, None] * pieces
        self.row, self.slope, self.offset = _columns(inputs, like)

    def __call__(self, rows: Float[Tensor, "row frame"]) -> tuple[Tensor, Tensor]:
        """Values and derivatives with respect to the row, (function, frame)."""
        x = torch.addcmul(self.offset, self.slope, rows.index_select(0, self.row))
        piece = ((x[:, :, None] >= self.knots[:, None]).sum(-1) - 1).clamp(min=0)
        d = x - self.knots.gather(1, piece)
        coefficients = self.coefficients[self.first + piece].unbind(-1)
        value, slope = coefficients[-1], torch.zeros_like(x)
        for coefficient in reversed(coefficients[:-1]):
            slope = torch.addcmul(value, slope, d)
            value = torch.addcmul(coefficient, value, d)
        return value, slope * self.slope


def _columns(affine: list[_Affine], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows = torch.tensor([a.row for a in affine], dtype=torch.long, device=like.device)
    numbers = torch.tensor([(a.slope, a.offset) for a in affine], dtype=torch.float64).reshape(-1, 2)
    slope, offset = numbers.to(like).T[..., None].unbind(0)
    return rows, slope, offset


@dataclass
class Transmission:
    """From unknowns to the amounts of all joint axes, rad or m: rotations, then slides of sliding slots.

    `unknown` names the unknown behind each amount, −1 where it is constant.
    """

    couplers: list[_FunctionTable]  # each appends rows
    row: Int[Tensor, " amount"]
    slope: Float[Tensor, "amount 1"]
    offset: Float[Tensor, "amount 1"]
    functions: _FunctionTable | None
    nonlinear: Int[Tensor, " function"]  # which amounts they give
    unknown: list[int]

    def __call__(self, unknown: Float[Tensor, "frame unknown"]) -> tuple[Tensor, Tensor]:
        """Amounts and their derivatives with respect to the unknown behind each, (amount, frame)."""
        rows, slopes = unknown.T, None
        for table in self.couplers:
            values, derivatives = table(rows)
            slopes = torch.ones_like(rows) if slopes is None else slopes
            slopes = torch.cat([slopes, derivatives * slopes.index_select(0, table.row)])
            rows = torch.cat([rows, values])
        amounts = torch.addcmul(self.offset, self.slope, rows.index_select(0, self.row))
        slope = self.slope if slopes is None else self.slope * slopes.index_select(0, self.row)
        if self.functions is None:
            return amounts, slope
        values, derivatives = self.functions(rows)
        if slopes is not None:
            derivatives = derivatives * slopes.index_select(0, self.functions.row)
        slope = slope.expand_as(amounts).index_copy(0, self.nonlinear, derivatives)
        return amounts.index_copy(0, self.nonlinear, values), slope


def transmission(skeleton: Skeleton, free: list[int], rest: Float[Tensor, " coord"]) -> Transmission:
    """The transmission of the coordinates `free` (indices), all others at `rest`."""
    like = skeleton.ranges
    columns, tables, owner = _coordinate_columns(skeleton, free, rest.tolist())
    affine, functions, inputs, nonlinear = [], [], [], []
    for column, slope, offset, function in _joint_axes(skeleton):
        at = columns[column]
        if function is None or at.slope == 0:
            at = at.through(slope, offset) if function is None else _constant(function, at)
        else:
            nonlinear.append(len(affine))
            functions.append(function)
            inputs.append(at)
        affine.append(at)
    unknown = [owner[a.row] if a.slope else -1 for a in affine]
    table = _FunctionTable(functions, inputs, like) if functions else None
    index = torch.tensor(nonlinear, dtype=torch.long, device=like.device)
    return Transmission(tables, *_columns(affine, like), table, index, unknown)


def _joint_axes(skeleton: Skeleton) -> list[tuple[int, float, float, Function | None]]:
    """(column of values, slope, offset, function if not linear) of axis rotations, then of slides in use."""
    slots, sliding = len(skeleton.order), skeleton.slide_slots.tolist()
    axes = []
    for kind, used in (
        ("rotation", range(len(skeleton.rotations))),
        ("slide", [position * slots + slot for position in range(3) for slot in sliding]),
    ):
        functions = {slot: function for slot, _, function in getattr(skeleton, f"{kind}_functions")}
        parts = (getattr(skeleton, f"{kind}_{part}").tolist() for part in ("source", "slope", "offset"))
        lines = list(zip(*parts, strict=True))
        axes += [(*lines[slot], functions.get(slot)) for slot in used]
    return axes


def _coordinate_columns(
    skeleton: Skeleton, free: list[int], rest: list[float]
) -> tuple[list[_Affine], list[_FunctionTable], list[int]]:
    """Columns of coordinate values by rows; what couplers append to the rows; the unknown behind a row."""
    order = {index: i for i, index in enumerate(free)}
    columns = [
        _Affine(order[given], 1.0, 0.0) if given in order else _Affine(0, 0.0, ([*rest, 0.0])[given])
        for given in skeleton.coordinate_source.tolist()
    ]
    parts = (getattr(skeleton, f"coupled_{part}").tolist() for part in ("source", "slope", "offset"))
    columns = [columns[s].through(k, b) for s, k, b in zip(*parts, strict=True)]  # couplers if all are linear
    tables, owner = [], list(range(len(free)))
    for dependent, independent, function in skeleton.couplers:
        at = columns[independent]
        if function.is_linear:
            columns[dependent] = at.through(*function.line)
        elif at.slope == 0:
            columns[dependent] = _constant(function, at)
        else:
            tables.append(_FunctionTable([function], [at], skeleton.ranges))
            columns[dependent] = _Affine(len(owner), 1.0, 0.0)
            owner.append(owner[at.row])
    return columns, tables, owner


def _constant(function: Function, at: _Affine) -> _Affine:
    return _Affine(0, 0.0, float(function(torch.tensor(at.offset, dtype=torch.float64))))


class Links(NamedTuple):
    """What scale factors decide; the last axis has length 1 where all frames have the same."""

    own: Float[Tensor, "3 link #frame"]
    slide: Float[Tensor, "3 position sliding #frame"]

    def at(self, frames: Tensor | slice) -> "Links":
        return Links(*(part if part.shape[-1] == 1 else part[..., frames] for part in self))


def links(skeleton: Skeleton, scales: Float[Tensor, "*frame body 3"]) -> Links:
    """Links and slides of the skeleton scaled by absolute `scales`, m."""
    ratio = skeleton.scale_ratios(scales.reshape(-1, *scales.shape[-2:]))
    own = skeleton.link.T[..., None] * ratio.index_select(1, skeleton.link_source)
    stretch = skeleton.slide_stretch(ratio.index_select(1, skeleton.ratio_source))
    slide = skeleton.slide_direction[..., None] * stretch
    return Links(own, slide.index_select(2, skeleton.slide_slots))


class Posed(NamedTuple):
    """A posed tree, and the derivative of each amount with respect to its unknown, (amount, frame or 1)."""

    tree: PosedTree
    slope: Tensor

    def markers(self, slots: int) -> Float[Tensor, "3 marker frame"]:
        return self.tree.points[:, slots:]


def posed(
    skeleton: Skeleton, drive: Transmission, link: Links, unknown: Float[Tensor, "frame unknown"]
) -> Posed:
    """The tree with its unknown coordinates at `unknown` (rad, m)."""
    amounts, slope = drive(unknown)
    rotations, slides = amounts.split([len(skeleton.rotations), len(amounts) - len(skeleton.rotations)])
    own = link.own.expand(-1, -1, len(unknown))
    if len(slides):
        moved = (link.slide * slides.unflatten(0, (3, -1))).sum(1)
        own = own.index_add(1, skeleton.slide_slots, moved)
    return Posed(pose_tree(skeleton.kinematic_tree("every", root_given=False), rotations, own), slope)
