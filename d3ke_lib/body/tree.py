"""Points that hang on a tree of turning joints, and their derivatives as forces and torques.

A slot is the ground (0) or a joint with the body that it moves. A link is a vector fixed to the body of a
slot, its carrier: from the parent's joint to a joint, or from a joint to a marker. A point is the sum of
the links on its way from the ground. Backward, a gradient with respect to points is a set of forces.
Summed over the points beyond a link they pull the link, and the moments of what a joint carries twist its
turns: the transposed geometric Jacobian (Featherstone, Rigid Body Dynamics Algorithms, 2008, §4.1), in a
fraction of the operations that differentiating the forward pass step by step takes. Components first,
batch last: see components.py.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from d3ke_lib.body.layout import applied, compose


class Tree(NamedTuple):
    """Constants of a tree; a turn's matrix is base + sine · sin(amount) + versine · (1 − cos(amount)).

    Turns: the first ones of all slots that turn, then the second ones, then the third; slots with more turns
    come first, so that those of the second turns are a head of those of the first. A slot's first turn has
    the parent's frame multiplied in, its last the child's.
    """

    base: Tensor  # (3, 3, turn, 1)
    sine: Tensor
    versine: Tensor
    axis: Tensor  # (3, turn, 1) as seen after the slot's turns before it, the first in the parent's body
    fixed: Tensor  # (3, 3, slot that does not turn, 1) its rotation in its parent
    first: Tensor  # (first turns,) their slots
    second: Tensor
    third: Tensor
    order: Tensor  # (slot,) where a slot is among those that turn and those that do not
    carrier: Tensor  # (link,) the slot that turns a link; the slots' own links come first, then the markers'
    beyond: Tensor  # (slot, slot) 1 where the column is the row or above it
    turned: Tensor  # (slot, link) 1 where the slot's turns move the link
    hooks: Tensor  # (point,) the slot at which a point is, or from which the link to it starts
    pulled: Tensor  # (slot, point) 1 where the slot's own link moves the point
    above: tuple[Tensor, ...]  # pointer doubling: on which slots the last ones still hang, by round


class Hung(NamedTuple):
    """A posed tree."""

    points: Tensor  # (3, point, batch) in ground; the last ones are the markers
    turns: Tensor  # (3, 3, turn, batch)
    R: Tensor  # (3, 3, slot, batch) the slots' rotations in ground
    carriers: Tensor  # (3, 3, link, batch) rotation in ground of each link's carrier
    steps: Tensor  # (3, link, batch) the links in ground


def rotations(tree: Tree, amounts: Tensor) -> tuple[Tensor, Tensor]:
    """The turns (3, 3, turn, batch), and the slots' rotations in ground (3, 3, slot, batch)."""
    # On a CPU an operation with more than one operand that is spread over the batch is not vectorised.
    sines, versines = _sines_and_versines(amounts)
    turns = torch.addcmul(tree.sine * sines, tree.versine, versines) + tree.base
    one, second, third = by_place(tree, turns)
    two = compose(one[:, :, : second.shape[2]], second)
    three = compose(two[:, :, : third.shape[2]], third)
    fixed = tree.fixed.expand(-1, -1, -1, amounts.shape[-1])
    R = torch.cat([three, two[:, :, three.shape[2] :], one[:, :, two.shape[2] :], fixed], 2)
    return turns, _doubled(tree, R.index_select(2, tree.order), compose)


def _doubled(tree: Tree, values: Tensor, joined: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Pointer doubling: every slot's value (…, slot, batch) with those of all slots above it before it."""
    for above in tree.above:
        done, hanging = values.split([values.shape[-2] - len(above), len(above)], -2)
        values = torch.cat([done, joined(values.index_select(-2, above), hanging)], -2)
    return values


def _sines_and_versines(amounts: Tensor) -> tuple[Tensor, Tensor]:
    sines, versines = torch.sin(amounts), 1 - torch.cos(amounts)
    if torch.compiler.is_compiling():  # as a part of something stored they are not computed nine times each
        return torch.cat([sines, versines]).chunk(2)
    return sines, versines


def by_place(tree: Tree, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values of all turns (…, turn, batch) by their place in the slot: first, second, third."""
    return values.split([len(tree.first), len(tree.second), len(tree.third)], -2)


def frames_of_turns(tree: Tree, turns: Tensor, above: Tensor) -> Tensor:
    """(3, 3, turn, batch): rotation of what a turn's `axis` is seen in, from those of the slots' parents."""
    one, second, _ = by_place(tree, turns)
    before = [above.index_select(2, tree.first)]
    for turn, further in ((one, tree.second), (second, tree.third)):
        count = len(further)
        before.append(compose(before[-1][:, :, :count], turn[:, :, :count]))
    return torch.cat(before, 2)


def hung(tree: Tree, amounts: Tensor, links: Tensor) -> Hung:
    """Amounts of the turns (turn, batch), rad, and links (3, link, batch) in their carriers, m."""
    turns, R = rotations(tree, amounts)
    carriers = R.index_select(2, tree.carrier)
    steps = applied(carriers, links)
    slots = len(tree.order)
    at = _origins(tree, steps[:, :slots]).index_select(1, tree.hooks)
    markers = steps.shape[1] - slots
    joints = at.shape[1] - markers
    points = torch.cat([at[:, :joints], at[:, joints:] + steps[:, slots:]], 1)
    return Hung(points, turns, R, carriers, steps)


def _origins(tree: Tree, steps: Tensor) -> Tensor:
    """(3, slot, batch): the slots' joints in ground, from their own links."""
    if torch.compiler.is_compiling():  # a product of matrices would cut the kernel in two
        return _doubled(tree, steps, torch.add)
    return summed(tree.beyond, steps)


def points(tree: Tree, amounts: Tensor, links: Tensor) -> Tensor:
    """`hung(...).points`, with derivatives of any order, the first of them fast."""
    if torch.is_grad_enabled() and (amounts.requires_grad or links.requires_grad):
        return _Points.apply(amounts, links, *tree[:-1], *tree.above)[0]
    return hung(tree, amounts, links).points


class _Points(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(amounts: Tensor, links: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        return tuple(hung(_tree(constants), amounts, links))

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: tuple) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:], *inputs)

    @staticmethod
    def backward(ctx, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        turns, _, carriers, steps, amounts, links, *constants = ctx.saved_tensors
        if grad is None:
            return None, None, *(None for _ in constants)
        tree = _tree(constants)
        if torch.is_grad_enabled():  # someone wants the second derivative: what this is made of must have one
            _, turns, _, carriers, steps = hung(tree, amounts, links)
        slots = len(tree.order)
        own = grad[:, grad.shape[1] - (links.shape[1] - slots) :]
        force = torch.cat([summed(tree.pulled, grad), own], 1)
        torque = summed(tree.turned, torch.linalg.cross(steps, force, dim=0))
        back = carriers.transpose(0, 1)
        about = [applied(back[:, :, :slots], torque).index_select(1, tree.first)]
        for turn, further in zip(by_place(tree, turns)[:2], (tree.second, tree.third)):
            count = len(further)
            about.append(applied(turn[:, :, :count].transpose(0, 1), about[-1][:, :count]))
        twist = (tree.axis * torch.cat(about, 1)).sum(0)
        return twist, applied(back, force), *(None for _ in constants)


def _tree(constants: Sequence[Tensor]) -> Tree:
    named = len(Tree._fields) - 1
    return Tree(*constants[:named], tuple(constants[named:]))


def summed(weights: Tensor, vectors: Tensor) -> Tensor:
    """Weights (to, from) times vectors (3, from, batch) → (3, to, batch)."""
    return torch.bmm(weights.expand(3, -1, -1), vectors)
