"""Forward kinematics of an OpenSim body: Pose → Points, batched and differentiable.

The tree is never walked joint by joint. All joint rotations are made at once, then the chains are
composed by pointer doubling: after k rounds every body knows its transform relative to its 2ᵏ-th
ancestor, so a spine of 25 joints takes five batched products.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from d3ke_lib.body.functions import constant
from d3ke_lib.body.model import Axis, Body, Joint
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


class Skeleton(nn.Module):
    """The body as a layer without weights: `skeleton(pose) -> Points`.

    Without `spec` it has every coordinate, body, joint and marker of the file, and a coordinate with
    an enforced coupler follows it. With one it has the spec's selection: coordinates the spec leaves
    out follow their enforced coupler or stay 0, and a selected coordinate ignores its coupler (as in
    D3KE). Works on any leading batch axes, in float32 and float64, on any device.

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
        kept = self._ancestry()
        self._make_tree(kept)
        self._make_coordinates(kept)
        self._make_points(kept)
        self._make_ranges()
        self._apply(lambda tensor: tensor)

    # -- use -----------------------------------------------------------------

    def forward(self, pose: Pose) -> Points:
        """Joint origins and markers in ground; with `R_ground_root` the root joint is the origin."""
        R, p, origins = self._compose(pose)
        return Points(origins[..., self.joint_slots, :], self._markers(R, p, self._ratios(pose.scales)))

    def frames(self, pose: Pose) -> tuple[Float[Tensor, "*batch body 3 3"], Float[Tensor, "*batch body 3"]]:
        """Rotation and origin (m) in ground of the frame of each of `bodies`."""
        R, p, _ = self._compose(pose)
        return R[..., self.body_slots, :, :], p[..., self.body_slots, :]

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

    def _compose(self, pose: Pose) -> tuple[Tensor, Tensor, Tensor]:
        """Slot 0 is the ground, slot i > 0 the child body of joint i − 1; origins are by joint, in ground."""
        values = self._all_coordinates(pose.angles)
        return self._chain(values, self._turns(values), self._ratios(pose.scales), pose.R_ground_root)

    def _chain(
        self, values: Tensor, turns: Tensor, ratio: Tensor, R_ground_root: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        turn = turns[..., 0, :, :] @ turns[..., 1, :, :] @ turns[..., 2, :, :]
        parent_ratio, own_ratio = ratio[..., self.parent_slots, :], ratio[..., 1:, :]
        origin = self.parent_translation * parent_ratio
        if self.moves:
            origin = (
                origin + (self.parent_rotation @ self._translations(values, parent_ratio)[..., None])[..., 0]
            )
        R = self.parent_rotation @ turn @ self.child_rotation_inverse
        if R_ground_root is not None:
            R, origin = self._place_root(R, origin, R_ground_root)
        p = origin - (R @ (self.child_translation * own_ratio)[..., None])[..., 0]
        R, p = self._with_ground(R, p)
        for slots in self.doubling:
            above = R[..., slots, :, :]
            p = (above @ p[..., None])[..., 0] + p[..., slots, :]
            R = above @ R
        at = self.parent_slots
        origins = (R[..., at, :, :] @ origin[..., None])[..., 0] + p[..., at, :]
        return R, p, origins

    def _markers(self, R: Tensor, p: Tensor, ratio: Tensor) -> Tensor:
        at = self.marker_slots
        local = self.marker_local * ratio[..., at, :]
        return (R[..., at, :, :] @ local[..., None])[..., 0] + p[..., at, :]

    def _all_coordinates(self, angles: Tensor) -> Tensor:
        """Every coordinate of the kept joints: given, coupled, or 0; one column more, always 0."""
        zero = torch.zeros_like(angles[..., :1])
        values = torch.cat([angles, zero], -1)[..., self.coordinate_source]
        for dependent, independent, function in self.couplers:
            column = function(values[..., independent])[..., None]
            values = torch.cat([values[..., :dependent], column, values[..., dependent + 1 :]], -1)
        if self.linear_couplers:
            values = values[..., self.coupled_source] * self.coupled_slope + self.coupled_offset
        return values

    def _ratios(self, scales: Tensor) -> Tensor:
        """Scale relative to the file, by slot; 1 for the ground and bodies that are not selected."""
        ratio = scales / self.generic_scales
        one = torch.ones_like(ratio[..., :1, :])
        return torch.cat([ratio, one], -2)[..., self.ratio_source, :]

    def _turns(self, values: Tensor) -> Tensor:
        """(…, joint, 3, 3, 3): the three rotations of every kept joint, each carried by those before."""
        angle = self._amounts("turn", values)
        sine, versine = torch.sin(angle)[..., None, None], (1 - torch.cos(angle))[..., None, None]
        each = self.eye + sine * self.turn_cross + versine * self.turn_cross2
        return each.unflatten(-3, (-1, 3))

    def _amounts(self, kind: str, values: Tensor) -> Tensor:
        """How far each of the kept joints' three axes turns (rad) or slides (m): (…, 3 joint)."""
        source, slope, offset = (getattr(self, f"{kind}_{part}") for part in ("source", "slope", "offset"))
        amount = values[..., source] * slope + offset
        for slot, column, function in getattr(self, f"{kind}_functions"):
            bent = function(values[..., column])[..., None]
            amount = torch.cat([amount[..., :slot], bent, amount[..., slot + 1 :]], -1)
        return amount

    def _translations(self, values: Tensor, parent_ratio: Tensor) -> Tensor:
        amount = self._amounts("slide", values)
        amount = amount.unflatten(-1, (-1, 3))
        amount = amount * self._stretch(parent_ratio)
        return (amount[..., None] * self.slide_axis).sum(-2)

    def _stretch(self, parent_ratio: Tensor) -> Tensor:
        """How much the parent's size stretches each slide: its factors, weighted by the axis."""
        # OpenSim does not divide by the weights' sum: its scale of 1 changes a slide along an oblique axis.
        along = (self.slide_share * parent_ratio[..., None, :]).sum(-1)
        return torch.where(self.slide_scaled, along, 1.0)

    def _place_root(self, R: Tensor, origin: Tensor, R_ground_root: Tensor) -> tuple[Tensor, Tensor]:
        # D3KE: with a predicted rotation the root's parent offset and translations are dropped.
        root = (R_ground_root @ self.child_rotation_inverse[0])[..., None, :, :]
        batch = torch.broadcast_shapes(root.shape[:-3], R.shape[:-3], origin.shape[:-2])
        rest = R[..., 1:, :, :].expand(*batch, -1, 3, 3)
        offsets = origin[..., 1:, :].expand(*batch, -1, 3)
        R = torch.cat([root.expand(*batch, 1, 3, 3), rest], -3)
        return R, torch.cat([torch.zeros_like(offsets[..., :1, :]), offsets], -2)

    def _with_ground(self, R: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        batch = torch.broadcast_shapes(R.shape[:-3], p.shape[:-2])
        R, p = R.expand(*batch, *R.shape[-3:]), p.expand(*batch, *p.shape[-2:])
        ground = self.eye.expand(*batch, 1, 3, 3)
        return torch.cat([ground, R], -3), torch.cat([torch.zeros_like(p[..., :1, :]), p], -2)

    # -- construction ------------------------------------------------------------

    def _constant(self, name: str, values: object, dtype: type = np.float64) -> None:
        """A buffer that is not saved; floats keep their float64 value, whatever dtype the module has."""
        array = np.asarray(values, dtype)
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

    def _ancestry(self) -> tuple[Joint, ...]:
        """Joints that some selected joint, marker or body depends on, parents first."""
        above = {j.child.body: j for j in self.body.joints}
        by_name = {j.name: j for j in self.body.joints}
        wanted = set(self.bodies) | {by_name[n].child.body for n in self.joints}
        wanted |= {m.body for m in self.body.markers if m.name in self.markers}
        needed: set[str] = set()
        for name in wanted:
            while name != "ground" and name not in needed:
                needed.add(name)
                name = above[name].parent.body if name in above else "ground"
        return tuple(j for j in self.body.joints if j.child.body in needed)

    def _make_tree(self, kept: tuple[Joint, ...]) -> None:
        slot = {"ground": 0} | {j.child.body: i + 1 for i, j in enumerate(kept)}
        parents = [slot[j.parent.body] for j in kept]
        self._constant("eye", np.eye(3))
        self._constant("parent_slots", parents, np.int64)
        self._constant("parent_translation", [j.parent.translation for j in kept])
        self._constant("parent_rotation", [_xyz_rotation(j.parent.orientation) for j in kept])
        self._constant("child_translation", [j.child.translation for j in kept])
        self._constant("child_rotation_inverse", [_xyz_rotation(j.child.orientation).T for j in kept])
        bodies = {name: i for i, name in enumerate(self.bodies)}
        self._constant("ratio_source", [bodies.get(n, len(bodies)) for n in slot], np.int64)
        self._constant("body_slots", [slot[n] for n in self.bodies if n in slot], np.int64)
        self._double(np.array([0, *parents]))
        self.slot = slot

    def _double(self, above: np.ndarray) -> None:
        rounds = []
        while above.any():
            rounds.append(above)
            above = above[above]
        for i, slots in enumerate(rounds):
            self._constant(f"doubling_{i}", slots, np.int64)
        self._rounds = len(rounds)

    @property
    def doubling(self) -> list[Tensor]:
        return [getattr(self, f"doubling_{i}") for i in range(self._rounds)]

    def _make_coordinates(self, kept: tuple[Joint, ...]) -> None:
        names = [c.name for j in kept for c in j.coordinates]
        column = {n: i for i, n in enumerate(names)}
        given = {n: i for i, n in enumerate(self.coordinates)}
        self._constant(
            "coordinate_source", [*(given.get(n, len(given)) for n in names), len(given)], np.int64
        )
        self._make_couplers(column)
        self._make_axes("turn", [a for j in kept for a in _three(j.rotations)], column)
        slides = [a for j in kept for a in _three(j.translations)]
        self.moves = any(a.coordinate or not a.function.is_linear or a.function.line[1] for a in slides)
        self._make_axes("slide", slides, column)
        self._constant("slide_axis", np.reshape([a.axis for a in slides], (-1, 3, 3)))
        share = np.abs(np.reshape([a.axis for a in slides], (-1, 3, 3)))
        self._constant("slide_share", share / share.sum(-1, keepdims=True))
        self._constant("slide_scaled", np.reshape([a.function.scaled for a in slides], (-1, 3)), np.bool_)
        cross = np.array([_cross(a.axis) for j in kept for a in _three(j.rotations)])
        self._constant(
            "turn_axis", np.reshape([a.axis for j in kept for a in _three(j.rotations)], (-1, 3, 3))
        )
        self._constant("turn_cross", cross)
        self._constant("turn_cross2", cross @ cross)

    def _make_axes(self, kind: str, axes: list[Axis], column: dict[str, int]) -> None:
        """Linear axes as one gather and one multiply-add; the few others one by one."""
        lines = [a.function.line if a.function.is_linear else (0.0, 0.0) for a in axes]
        sources = [column[a.coordinate] if a.coordinate else len(column) for a in axes]
        self._constant(f"{kind}_source", sources, np.int64)
        self._constant(f"{kind}_slope", [slope for slope, _ in lines])
        self._constant(f"{kind}_offset", [offset for _, offset in lines])
        others = [
            (i, s, a.function) for i, (s, a) in enumerate(zip(sources, axes)) if not a.function.is_linear
        ]
        setattr(self, f"{kind}_functions", others)

    def _make_couplers(self, column: dict[str, int]) -> None:
        free = set(self.coordinates) if self.spec else set()
        active = [c for c in self.body.couplers if c.enforced and c.dependent not in free]
        active = _drivers_first(
            [c for c in active if c.dependent in column and c.independent in column], self.body
        )
        source, slope, offset = (
            np.arange(len(column) + 1),
            np.ones(len(column) + 1),
            np.zeros(len(column) + 1),
        )
        all_linear = all(c.function.is_linear for c in active)
        for c in active if all_linear else []:
            to, by = column[c.dependent], column[c.independent]
            k, b = c.function.line
            source[to], slope[to], offset[to] = source[by], k * slope[by], k * offset[by] + b
        self._constant("coupled_source", source, np.int64)
        self._constant("coupled_slope", slope)
        self._constant("coupled_offset", offset)
        self.linear_couplers = bool(active) and all_linear
        nonlinear = [] if all_linear else active
        self.couplers = [(column[c.dependent], column[c.independent], c.function) for c in nonlinear]

    def _make_points(self, kept: tuple[Joint, ...]) -> None:
        by_name = {j.name: i for i, j in enumerate(kept)}
        self._constant("joint_slots", [by_name[n] for n in self.joints], np.int64)
        markers = {m.name: m for m in self.body.markers}
        self._constant("marker_slots", [self.slot[markers[n].body] for n in self.markers], np.int64)
        self._constant("marker_local", np.reshape([markers[n].location for n in self.markers], (-1, 3)))
        chosen = {kept[by_name[n]].child.body: i for i, n in enumerate(self.joints)}
        above = {j.child.body: j.parent.body for j in kept}
        self.parents = tuple(_parent(kept[by_name[n]].parent.body, above, chosen) for n in self.joints)

    def _make_ranges(self) -> None:
        limits = {c.name: c.range for c in self.body.coordinates}
        ranges = np.reshape([limits[n] for n in self.coordinates], (-1, 2))
        self._constant("ranges", ranges)
        # D3KE: a range with an end beyond a full turn counts as ±2π.
        wide = (np.abs(ranges) > 2 * np.pi).any(1, keepdims=True)
        low, high = np.where(wide, [-2 * np.pi, 2 * np.pi], np.fmod(ranges, 2 * np.pi)).T
        self._constant("angle_middle", (low + high) / 2)
        self._constant("angle_half", (high - low) / 2)
        factors = {s.name: s.scale_factors for s in self.body.segments}
        self._constant("generic_scales", np.reshape([factors[n] for n in self.bodies], (-1, 3)))
        if self.spec:
            self._constant("scale_middle", self.spec.unique_scale_mean)
            self._constant("scale_half", self.spec.unique_scale_amplitude)
            self._constant("scale_index", self.spec.body_scale_mapping, np.int64)
            self._constant("marker_weights", self.spec.marker_ik_weight)


def _three(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    still = Axis(None, (1.0, 0.0, 0.0), constant(0.0))
    return (*axes, still, still, still)[:3]


def _parent(body: str, above: dict[str, str], chosen: dict[str, int]) -> int:
    while body != "ground" and body not in chosen:
        body = above[body]
    return chosen.get(body, -1)


def _drivers_first(couplers: list, body: Body) -> list:
    """Couplers ordered so that one coordinate's driver is known before it; a loop is an error."""
    ordered, waiting = [], list(couplers)
    while waiting:
        pending = {c.dependent for c in waiting}
        ready = [c for c in waiting if c.independent not in pending]
        if not ready:
            raise ValueError(
                f"{body.source}: couplers {[c.name for c in waiting]} drive each other in a loop"
            )
        ordered += ready
        waiting = [c for c in waiting if c not in ready]
    return ordered


def _cross(axis: tuple[float, ...]) -> np.ndarray:
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _xyz_rotation(angles: tuple[float, ...]) -> np.ndarray:
    """Body-fixed rotations about x, then y, then z (OpenSim's orientation)."""
    R = np.eye(3)
    for axis, angle in zip(np.eye(3), angles, strict=True):
        K = _cross(tuple(axis))
        R = R @ (np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * (K @ K))
    return R
