"""Points carried by a tree of rotating joints, and their derivatives as forces and torques.

A slot is the ground (0) or a joint with the body that it moves. A link is a vector fixed to the body of a
slot, its carrier: from the parent's joint to a joint, or from a joint to a marker. A point is the sum of
the links on its way from the ground. Backward, a gradient with respect to points is a set of forces.
Summed over the points that a link moves they act on the link, and the moments of what a joint carries act
on its rotations: the transposed geometric Jacobian (Featherstone, Rigid Body Dynamics Algorithms, 2008,
§4.1), in a fraction of the operations that differentiating the forward pass step by step takes. Components
first, batch last: see layout.py.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from d3ke_lib.body.layout import compose, rotate


class KinematicTree(NamedTuple):
    """Constants of a tree; the matrix of an axis rotation is base + sine · sin(q) + versine · (1 − cos(q)).

    Axis rotations: the first ones of all slots that rotate, then the second ones, then the third; slots with
    more of them come first, so that those with a second are a head of those with a first. A slot's first has
    the parent's frame multiplied in, its last the child's.
    """

    base: Tensor  # (3, 3, rotation, 1)
    sine: Tensor
    versine: Tensor
    axis: (
        Tensor  # (3, rotation, 1) seen after the slot's earlier rotations, a first one's in the parent's body
    )
    fixed: Tensor  # (3, 3, slot without rotation, 1) its constant rotation in its parent
    first: Tensor  # (first rotations,) their slots
    second: Tensor
    third: Tensor
    order: Tensor  # (slot,) where a slot is among those that rotate and those that do not
    carrier: (
        Tensor  # (link,) the slot that rotates a link; the slots' own links come first, then the markers'
    )
    ancestor_mask: Tensor  # (slot, slot) 1 where the column is the row or an ancestor of it
    link_mask: Tensor  # (slot, link) 1 where the slot's rotations move the link
    parent_joint: Tensor  # (point,) the slot at which a point is, or from which the link to it starts
    point_mask: Tensor  # (slot, point) 1 where the slot's own link moves the point
    ancestors: tuple[Tensor, ...]  # pointer doubling: by round, the ancestors of the slots not yet done


class PosedTree(NamedTuple):
    """A tree at given coordinates."""

    points: Tensor  # (3, point, batch) in ground; the last ones are the markers
    rotations: Tensor  # (3, 3, rotation, batch) each axis rotation
    R: Tensor  # (3, 3, slot, batch) the slots' rotations in ground
    carriers: Tensor  # (3, 3, link, batch) rotation in ground of each link's carrier
    links: Tensor  # (3, link, batch) the links in ground


def pose_tree(tree: KinematicTree, amounts: Tensor, links: Tensor) -> PosedTree:
    """Amounts of the axis rotations (rotation, batch), rad; links (3, link, batch) in their carriers, m."""
    rotations, R = _rotate(tree, amounts)
    carriers = R.index_select(2, tree.carrier)
    in_ground = rotate(carriers, links)
    slots = len(tree.order)
    at = _origins(tree, in_ground[:, :slots]).index_select(1, tree.parent_joint)
    markers = in_ground.shape[1] - slots
    joints = at.shape[1] - markers
    points = torch.cat([at[:, :joints], at[:, joints:] + in_ground[:, slots:]], 1)
    return PosedTree(points, rotations, R, carriers, in_ground)


def points_of(tree: KinematicTree, amounts: Tensor, links: Tensor) -> Tensor:
    """`pose_tree(...).points`, with derivatives of any order, the first of them fast."""
    if torch.is_grad_enabled() and (amounts.requires_grad or links.requires_grad):
        return _Points.apply(amounts, links, *tree[:-1], *tree.ancestors)[0]
    return pose_tree(tree, amounts, links).points


def axis_frames(tree: KinematicTree, rotations: Tensor, R_parents: Tensor) -> Tensor:
    """(3, 3, rotation, batch) in ground: what each `axis` is seen in, from the slots' parents' rotations."""
    one, second, _ = _by_position(tree, rotations)
    before = [R_parents.index_select(2, tree.first)]
    for rotation, further in ((one, tree.second), (second, tree.third)):
        count = len(further)
        before.append(compose(before[-1][:, :, :count], rotation[:, :, :count]))
    return torch.cat(before, 2)


def _rotate(tree: KinematicTree, amounts: Tensor) -> tuple[Tensor, Tensor]:
    """The axis rotations (3, 3, rotation, batch), and the slots' rotations in ground (3, 3, slot, batch)."""
    # On a CPU an operation with more than one operand that is spread over the batch is not vectorised.
    sines, versines = _sines_and_versines(amounts)
    rotations = torch.addcmul(tree.sine * sines, tree.versine, versines) + tree.base
    one, second, third = _by_position(tree, rotations)
    two = compose(one[:, :, : second.shape[2]], second)
    three = compose(two[:, :, : third.shape[2]], third)
    fixed = tree.fixed.expand(-1, -1, -1, amounts.shape[-1])
    R = torch.cat([three, two[:, :, three.shape[2] :], one[:, :, two.shape[2] :], fixed], 2)
    return rotations, _accumulate(tree, R.index_select(2, tree.order), compose)


def _accumulate(tree: KinematicTree, values: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Pointer doubling: every slot's value (…, slot, batch) with those of all its ancestors before it."""
    for ancestors in tree.ancestors:
        done, rest = values.split([values.shape[-2] - len(ancestors), len(ancestors)], -2)
        values = torch.cat([done, join(values.index_select(-2, ancestors), rest)], -2)
    return values


def _sines_and_versines(amounts: Tensor) -> tuple[Tensor, Tensor]:
    sines, versines = torch.sin(amounts), 1 - torch.cos(amounts)
    if torch.compiler.is_compiling():  # as a part of something stored they are not computed nine times each
        return torch.cat([sines, versines]).chunk(2)
    return sines, versines


def _by_position(tree: KinematicTree, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values of all axis rotations (…, rotation, batch): those that are their slot's first, second, third."""
    return values.split([len(tree.first), len(tree.second), len(tree.third)], -2)


def _origins(tree: KinematicTree, links: Tensor) -> Tensor:
    """(3, slot, batch): the slots' joints in ground, from their own links."""
    if torch.compiler.is_compiling():  # a product of matrices would cut the kernel in two
        return _accumulate(tree, links, torch.add)
    return _weighted_sum(tree.ancestor_mask, links)


class _Points(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(amounts: Tensor, links: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        return tuple(pose_tree(_unpack(constants), amounts, links))

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: tuple) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*output[1:], *inputs)

    @staticmethod
    def backward(ctx, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        rotations, _, carriers, in_ground, amounts, links, *constants = ctx.saved_tensors
        if grad is None:
            return None, None, *(None for _ in constants)
        tree = _unpack(constants)
        if torch.is_grad_enabled():  # for a second derivative, what the first is made of must have one
            _, rotations, _, carriers, in_ground = pose_tree(tree, amounts, links)
        slots = len(tree.order)
        own = grad[:, grad.shape[1] - (links.shape[1] - slots) :]
        force = torch.cat([_weighted_sum(tree.point_mask, grad), own], 1)
        torque = _weighted_sum(tree.link_mask, torch.linalg.cross(in_ground, force, dim=0))
        back = carriers.transpose(0, 1)
        about = [rotate(back[:, :, :slots], torque).index_select(1, tree.first)]
        for rotation, further in zip(_by_position(tree, rotations)[:2], (tree.second, tree.third)):
            count = len(further)
            about.append(rotate(rotation[:, :, :count].transpose(0, 1), about[-1][:, :count]))
        twist = (tree.axis * torch.cat(about, 1)).sum(0)
        return twist, rotate(back, force), *(None for _ in constants)


def _unpack(constants: Sequence[Tensor]) -> KinematicTree:
    named = len(KinematicTree._fields) - 1
    return KinematicTree(*constants[:named], tuple(constants[named:]))


def _weighted_sum(weights: Tensor, vectors: Tensor) -> Tensor:
    """Weights (to, from) times vectors (3, from, batch) → (3, to, batch)."""
    return torch.bmm(weights.expand(3, -1, -1), vectors)
