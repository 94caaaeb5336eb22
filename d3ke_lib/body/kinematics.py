"""Forward kinematics of an OpenSim body: Pose → Points, batched and differentiable.

The tree is never walked joint by joint. All joint rotations are made at once, then the chains are composed by
pointer doubling: after k rounds every body knows its rotation relative to its 2ᵏ-th ancestor, so a spine of
25 joints takes five products. Inside, components come first and the batch last: see components.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from d3ke_lib.body import tables
from d3ke_lib.body.components import applied, compose
from d3ke_lib.body.model import Body
from d3ke_lib.body.spec import Spec


class Pose(NamedTuple):
    """What a network predicts of a person.

    angles: coordinate values, rad (m for translations), in the order of `Skeleton.coordinates`.
    scales: scale factors as the .osim writes them (absolute), in the order of `Skeleton.bodies`.
    R_ground_root: rotation of the root body's joint frame, or None: the root moves by its coordinates.
    """

    angles: Float[Tensor, "*batch coord"]
    scales: Float[Tensor, "*batch body 3"]
    R_ground_root: Float[Tensor, "*batch 3 3"] | None = None


class Points(NamedTuple):
    """Positions in ground, m, in the order of `Skeleton.joints` and `Skeleton.markers`."""

    joints: Float[Tensor, "*batch joint 3"]
    markers: Float[Tensor, "*batch marker 3"]


class Validity(NamedTuple):
    """Which labels count: False where a coordinate or point is not known or not in the picture."""

    angles: Bool[Tensor, "*batch coord"]
    joints: Bool[Tensor, "*batch joint"]
    markers: Bool[Tensor, "*batch marker"]


class Trace(NamedTuple):
    """A posed tree, components first; joints in the order of `Skeleton.order`."""

    turns: (
        Tensor  # (3, 3, 3 turns, joint, batch), the first with the parent's frame, the last with the child's
    )
    R: Tensor  # (3, 3, joint, batch) rotation of the joint's child body in ground
    p: Tensor  # (3, joint, batch) its origin
    origin: Tensor  # (3, joint, batch) the joint's
    ratio: (
        Tensor  # (3, slot, batch or 1) scale over the file's, slot 0 the ground, i + 1 the child of joint i
    )


class Skeleton(nn.Module):
    """The body as a layer without weights: `skeleton(pose) -> Points`.

    Without `spec` it has every coordinate, body, joint and marker of the file, and a coordinate with
    an enforced coupler follows it. With one it has the spec's selection: coordinates the spec leaves
    out follow their enforced coupler or stay 0, and a selected coordinate ignores its coupler (as in
    D3KE). Works on any leading batch axes, in float32 and float64, on any device. `torch.compile` takes it
    as one graph; for a single frame with gradients on a CPU pass it `options={"cpp.threads": 1}` (torch 2.11
    writes beyond its memory otherwise).

    Attributes: `coordinates`, `bodies`, `joints`, `markers` (names in output order), `parents` (index
    of each joint's parent joint, −1 at the root); buffers `generic_scales` (body, 3), the file's own
    factors, `ranges` (coord, 2); `angle_middle`, `angle_half` (coord,), and with a spec `scale_middle`,
    `scale_half` (unique,), `scale_index` (body, 3), `marker_weights` (marker,).

    Raises `ValueError` naming what a spec asks for and the body does not have.
    """

    def __init__(self, body: Body, spec: Spec | None = None) -> None:
        super().__init__()
        self.body, self.spec = body, spec
        self.coordinates = spec.coordinates if spec else tuple(c.name for c in body.coordinates)
        self.bodies = spec.bodies if spec else tuple(s.name for s in body.segments)
        self.joints = (*spec.joints, *spec.leaf_joints) if spec else tuple(j.name for j in body.joints)
        self.markers = spec.markers if spec else tuple(m.name for m in body.markers)
        self._refuse_missing()
        self._exact: dict[str, np.ndarray] = {}
        kept = tables.ancestry(body, self.bodies, self.joints, self.markers)
        self._tree = tables.by_depth(kept)
        self.order = tuple(j.name for j in self._tree)
        self._make_tree()
        self._make_coordinates([c.name for j in kept for c in j.coordinates])
        self._make_points()
        self._make_ranges()
        self._apply(lambda tensor: tensor)

    # -- use -----------------------------------------------------------------

    def forward(self, pose: Pose) -> Points:
        """Joint origins and markers in ground; with `R_ground_root` the root joint is the origin."""
        batch, trace = self._trace(pose)
        joints = trace.origin.index_select(1, self.joint_slots)
        return Points(_batch_first(joints, batch), _batch_first(self._markers(trace), batch))

    def frames(self, pose: Pose) -> tuple[Float[Tensor, "*batch body 3 3"], Float[Tensor, "*batch body 3"]]:
        """Rotation and origin (m) in ground of the frame of each of `bodies`."""
        batch, trace = self._trace(pose)
        R, p = (part.index_select(-2, self.body_slots) for part in (trace.R, trace.p))
        R = R.permute(3, 2, 0, 1).reshape(*batch, -1, 3, 3)
        return R, _batch_first(p, batch)

    def spread_scales(self, unique: Float[Tensor, "*batch unique"]) -> Float[Tensor, "*batch body 3"]:
        """Tied scale factors given to their bodies and axes."""
        return unique[..., self.scale_index]

    def unique_scales(self, scales: Float[Tensor, "*batch body 3"]) -> Float[Tensor, "*batch unique"]:
        """Mean of the factors that are tied; the inverse of `spread_scales`."""
        flat = self.scale_index.reshape(-1)
        total = scales.new_zeros(*scales.shape[:-2], len(self.scale_middle))
        summed = total.index_add(-1, flat, scales.flatten(-2))
        return summed / torch.bincount(flat, minlength=len(self.scale_middle)).to(scales)

    def rest(self) -> Pose:
        """All coordinates 0, the file's own scale factors, no root rotation."""
        return Pose(self.ranges.new_zeros(len(self.coordinates)), self.generic_scales)

    # -- computation -----------------------------------------------------------

    def _trace(self, pose: Pose) -> tuple[torch.Size, Trace]:
        """Any leading axes become one, last; a pose without any, or scales without, are spread over it."""
        angles, scales, R_ground_root = pose
        shapes = [angles.shape[:-1], scales.shape[:-2]]
        shapes += [R_ground_root.shape[:-2]] if R_ground_root is not None else []
        batch = torch.broadcast_shapes(*shapes)
        values = self._all_coordinates(angles.expand(*batch, -1).reshape(batch.numel(), angles.shape[-1]))
        one = scales.ndim == 2
        scales = (scales[None] if one else scales.expand(*batch, -1, 3)).reshape(
            1 if one else batch.numel(), len(self.bodies), 3
        )
        if R_ground_root is not None:
            R_ground_root = R_ground_root.expand(*batch, 3, 3).reshape(batch.numel(), 3, 3)
        return batch, self._posed(values, self._ratios(scales), R_ground_root)

    def _posed(self, values: Tensor, ratio: Tensor, R_ground_root: Tensor | None) -> Trace:
        turns = self._turns(values)
        R = compose(compose(turns[:, :, 0], turns[:, :, 1]), turns[:, :, 2])
        origin = self.parent_translation.T[..., None] * ratio.index_select(1, self.parent_slots)
        origin = origin.expand(-1, -1, R.shape[-1])
        if self.sliding and not (R_ground_root is not None and self.sliding == [0]):
            origin = origin.index_add(1, self.slide_joints, self._slides(values, ratio))
        if R_ground_root is not None:
            R, origin = self._placed(R, origin, R_ground_root)
        R, at = self._chained(R, origin)
        if not self.has_child_offsets:
            at = self._summed(at)
            return Trace(turns, R, at, at, ratio)
        inward = applied(R, (self.child_translation.T[..., None] * ratio[:, 1:]).expand_as(at))
        p = self._summed(at - inward)
        return Trace(turns, R, p, p + inward, ratio)

    def _chained(self, R: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
        """Rotations in ground, and each joint's origin relative to its parent body's, turned into ground."""
        for i, first in enumerate(self.firsts):
            above = R.index_select(2, getattr(self, f"above_{i}"))
            R = torch.cat([R[:, :, :first], compose(above, R[:, :, first:])], 2)
        if not self.firsts:
            return R, origin
        first = self.firsts[0]
        turned = applied(R.index_select(2, self.above_0), origin[:, first:])
        return R, torch.cat([origin[:, :first], turned], 1)

    def _summed(self, steps: Tensor) -> Tensor:
        """Along the chains from the ground."""
        for i, first in enumerate(self.firsts):
            above = steps.index_select(1, getattr(self, f"above_{i}"))
            steps = torch.cat([steps[:, :first], above + steps[:, first:]], 1)
        return steps

    def _markers(self, trace: Trace) -> Tensor:
        """(3, marker, batch) in ground."""
        local = self.marker_local.T[..., None] * trace.ratio.index_select(1, self.marker_slots)
        local = local.expand(-1, -1, trace.p.shape[-1])
        R, p = (part.index_select(-2, self.marker_joints) for part in (trace.R, trace.p))
        found = applied(R, local) + p
        return torch.where(self.marker_slots[:, None] == 0, local, found) if self.ground_markers else found

    def _all_coordinates(self, angles: Tensor) -> Tensor:
        """Every coordinate of the kept joints: given, coupled, or 0; one column more, always 0."""
        zero = torch.zeros_like(angles[..., :1])
        values = torch.cat([angles, zero], -1).index_select(-1, self.coordinate_source)
        for dependent, independent, function in self.couplers:
            column = function(values[..., independent])[..., None]
            values = torch.cat([values[..., :dependent], column, values[..., dependent + 1 :]], -1)
        if self.linear_couplers:
            values = values.index_select(-1, self.coupled_source) * self.coupled_slope + self.coupled_offset
        return values

    def _ratios(self, scales: Tensor) -> Tensor:
        """(3, slot, batch): scale relative to the file; 1 for the ground and bodies that are not selected."""
        ratio = (scales / self.generic_scales).permute(2, 1, 0)
        one = torch.ones_like(ratio[:, :1])
        return torch.cat([ratio, one], 1).index_select(1, self.ratio_source)

    def _turns(self, values: Tensor) -> Tensor:
        angle = self._amounts("turn", values).unflatten(-1, (-1, 3)).permute(2, 1, 0)
        sine, versine = torch.sin(angle), 1 - torch.cos(angle)
        return torch.addcmul(torch.addcmul(self.turn_base, self.turn_sine, sine), self.turn_versine, versine)

    def _amounts(self, kind: str, values: Tensor) -> Tensor:
        """How far each of the joints' three axes turns (rad) or slides (m): (…, 3 joint)."""
        source, slope, offset = (getattr(self, f"{kind}_{part}") for part in ("source", "slope", "offset"))
        amount = values.index_select(-1, source) * slope + offset
        for slot, column, function in getattr(self, f"{kind}_functions"):
            bent = function(values[..., column])[..., None]
            amount = torch.cat([amount[..., :slot], bent, amount[..., slot + 1 :]], -1)
        return amount

    def _slides(self, values: Tensor, ratio: Tensor) -> Tensor:
        """(3, sliding joint, batch): how far the sliding joints have moved in their parent's body."""
        amount = self._amounts("slide", values).unflatten(-1, (-1, 3)).permute(2, 1, 0)
        amount = (amount * self._stretch(ratio)).index_select(1, self.slide_joints)
        return (self.slide_direction[..., None] * amount).sum(1)

    def _stretch(self, ratio: Tensor) -> Tensor:
        """(3 slides, joint, batch): how much the parent's size stretches a slide, its factors by the axis."""
        # OpenSim does not divide by the weights' sum: its scale of 1 changes a slide along an oblique axis.
        parent = ratio.index_select(1, self.parent_slots)
        along = (self.slide_share.permute(2, 1, 0)[..., None] * parent[:, None]).sum(0)
        return torch.where(self.slide_scaled.T[..., None], along, 1.0)

    def _placed(self, R: Tensor, origin: Tensor, R_ground_root: Tensor) -> tuple[Tensor, Tensor]:
        # D3KE: with a predicted rotation the root's parent offset and translations are dropped.
        root = (R_ground_root @ self.child_rotation_inverse[0]).permute(1, 2, 0)[:, :, None]
        return torch.cat([root, R[:, :, 1:]], 2), torch.cat(
            [torch.zeros_like(origin[:, :1]), origin[:, 1:]], 1
        )

    # -- construction ------------------------------------------------------------

    def _constant(self, name: str, values: object) -> None:
        """A buffer that is not saved; floats keep their float64 value, whatever dtype the module has."""
        array = np.asarray(values)
        tensor = torch.as_tensor(array)
        if array.dtype == np.float64:
            self._exact[name] = array
            tensor = tensor.to(torch.get_default_dtype())
        self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: object, recurse: bool = True) -> "Skeleton":
        """`.double()`, `.to(...)`: constants are cast from their exact values, not from rounded ones."""
        super()._apply(fn, recurse)
        for name, exact in self._exact.items():
            buffer = self._buffers[name]
            self._buffers[name] = torch.as_tensor(exact).to(device=buffer.device, dtype=buffer.dtype)
        return self

    def _refuse_missing(self) -> None:
        has = {
            "coordinates": {c.name for c in self.body.coordinates},
            "bodies": {s.name for s in self.body.segments},
            "joints": {j.name for j in self.body.joints},
            "markers": {m.name for m in self.body.markers},
        }
        for kind, names in has.items():
            missing = [n for n in getattr(self, kind) if n not in names]
            if missing:
                raise ValueError(
                    f"{self.body.source}: the spec asks for {kind} that the body lacks: {missing}"
                )

    def _make_tree(self) -> None:
        arrays = tables.tree(self._tree)
        for name, array in arrays.items():
            self._constant(name, array)
        rounds = tables.rounds((arrays["parent_slots"] - 1).tolist())
        for i, (_, above) in enumerate(rounds):
            self._constant(f"above_{i}", above)
        self.firsts = [first for first, _ in rounds]
        self.has_child_offsets = bool(arrays["child_translation"].any())
        slot = {"ground": 0} | {j.child.body: i + 1 for i, j in enumerate(self._tree)}
        bodies = {name: i for i, name in enumerate(self.bodies)}
        self._constant("ratio_source", [bodies.get(n, len(bodies)) for n in slot])
        self._constant("body_slots", np.array([slot[n] - 1 for n in self.bodies if n in slot], np.int64))
        self._constant("eye", np.eye(3))
        self.slot = slot

    def _make_coordinates(self, names: list[str]) -> None:
        column = {n: i for i, n in enumerate(names)}
        given = {n: i for i, n in enumerate(self.coordinates)}
        self._constant("coordinate_source", [*(given.get(n, len(given)) for n in names), len(given)])
        self._make_couplers(column)
        for kind, axes in (("turn", "rotations"), ("slide", "translations")):
            every = [a for j in self._tree for a in tables.three(getattr(j, axes))]
            arrays, others = tables.lines(kind, every, column)
            for name, array in arrays.items():
                self._constant(name, array)
            setattr(self, f"{kind}_functions", others)
        moving = [any(a.coordinate or a.function.line[1] for a in j.translations) for j in self._tree]
        self.sliding = [i for i, moves in enumerate(moving) if moves]
        self._constant("slide_joints", np.array(self.sliding, np.int64))
        directions = self._exact["parent_rotation"] @ self._exact["slide_axis"].transpose(0, 2, 1)
        self._constant("slide_direction", directions[self.sliding].transpose(1, 2, 0))

    def _make_couplers(self, column: dict[str, int]) -> None:
        free = set(self.coordinates) if self.spec else set()
        active = [c for c in self.body.couplers if c.enforced and c.dependent not in free]
        known = [c for c in active if c.dependent in column and c.independent in column]
        active = tables.drivers_first(known, self.body)
        all_linear = all(c.function.is_linear for c in active)
        for name, array in tables.coupled(active if all_linear else [], column).items():
            self._constant(name, array)
        self.linear_couplers = bool(active) and all_linear
        nonlinear = [] if all_linear else active
        self.couplers = [(column[c.dependent], column[c.independent], c.function) for c in nonlinear]

    def _make_points(self) -> None:
        index = {name: i for i, name in enumerate(self.order)}
        self._constant("joint_slots", [index[n] for n in self.joints])
        markers = {m.name: m for m in self.body.markers}
        slots = np.array([self.slot[markers[n].body] for n in self.markers], np.int64)
        self._constant("marker_slots", slots)
        self._constant("marker_joints", np.maximum(slots - 1, 0))
        self._constant("marker_local", np.reshape([markers[n].location for n in self.markers], (-1, 3)))
        self.ground_markers = bool((slots == 0).any())
        self.parents = tables.parents_among([self._tree[index[n]] for n in self.joints], self._tree)

    def _make_ranges(self) -> None:
        limits = {c.name: c.range for c in self.body.coordinates}
        ranges = np.reshape([limits[n] for n in self.coordinates], (-1, 2))
        self._constant("ranges", ranges)
        for name, values in zip(("angle_middle", "angle_half"), tables.mapped(ranges), strict=True):
            self._constant(name, values)
        factors = {s.name: s.scale_factors for s in self.body.segments}
        self._constant("generic_scales", np.reshape([factors[n] for n in self.bodies], (-1, 3)))
        if self.spec:
            self._constant("scale_middle", self.spec.unique_scale_mean)
            self._constant("scale_half", self.spec.unique_scale_amplitude)
            self._constant("scale_index", self.spec.body_scale_mapping)
            self._constant("marker_weights", np.asarray(self.spec.marker_ik_weight, float))


def _batch_first(points: Tensor, batch: torch.Size) -> Tensor:
    """(3, point, batch) as (*batch, point, 3), contiguous."""
    return points.permute(2, 1, 0).reshape(*batch, points.shape[1], 3).contiguous()
