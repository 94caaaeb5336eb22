"""Forward kinematics of an OpenSim body: Pose → Points, batched and differentiable.

The tree is never walked joint by joint. All joint rotations are made at once, then the chains are composed by
pointer doubling: after k rounds every body knows its rotation relative to its 2ᵏ-th ancestor, so a spine of
25 joints takes five products. Points and their derivatives are chain.py's. Inside, components come first and
the batch last: see components.py.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from d3ke_lib.body import constants as tables
from d3ke_lib.body import tree as chain
from d3ke_lib.body.layout import applied
from d3ke_lib.body.opensim.model import Axis, Body
from d3ke_lib.body.spec import Spec
from d3ke_lib.body.tree import Tree

ROOT = 1  # its slot: the first joint on the ground, the one that R_ground_root turns


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
    """A posed tree, components first; slots in the order of `Skeleton.order`."""

    turns: Tensor  # (3, 3, turn, batch), see chain.Tree
    R: Tensor  # (3, 3, slot, batch) rotation of the joint's child body in ground
    origin: Tensor  # (3, slot, batch) the joint's
    markers: Tensor  # (3, marker, batch)
    ratio: Tensor  # (3, slot, batch or 1) scale of the child body over the file's


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
        self._slots = (tables.GROUND, *tables.by_depth(kept))
        self.order = tuple(j.name for j in self._slots)
        self._make_points()
        self._make_coordinates([c.name for j in kept for c in j.coordinates])
        self._make_ranges()
        self._apply(lambda tensor: tensor)

    # -- use -----------------------------------------------------------------

    def forward(self, pose: Pose) -> Points:
        """Joint origins and markers in ground; with `R_ground_root` the root joint is the origin."""
        batch, angles, scales, R_ground_root = _flat(pose)
        ratio = self._ratios(scales)
        amounts, links = self._amounts_and_links(angles, ratio, placed=R_ground_root is not None)
        tree = self._tree("point", placed=R_ground_root is not None)
        points = chain.points(tree, amounts, links)
        if R_ground_root is not None:
            points = applied(R_ground_root.permute(1, 2, 0)[:, :, None], points)
        points = points.permute(2, 1, 0).reshape(*batch, len(self.point_hooks), 3)
        count = len(self.joints)
        return Points(points[..., :count, :], points[..., count:, :])

    def frames(self, pose: Pose) -> tuple[Float[Tensor, "*batch body 3 3"], Float[Tensor, "*batch body 3"]]:
        """Rotation and origin (m) in ground of the frame of each of `bodies`."""
        batch, trace = self._trace(pose)
        R, origin, ratio = (
            part.index_select(-2, self.body_slots) for part in (trace.R, trace.origin, trace.ratio)
        )
        inward = self.child_translation.index_select(0, self.body_slots).T[..., None] * ratio
        p = origin - applied(R, inward.expand_as(origin))
        R, p = R.permute(3, 2, 0, 1), p.permute(2, 1, 0)
        if pose.R_ground_root is not None:
            turned = pose.R_ground_root.expand(*batch, 3, 3).reshape(batch.numel(), 1, 3, 3)
            R, p = turned @ R, (turned @ p[..., None])[..., 0]
        count = len(self.body_slots)
        return R.reshape(*batch, count, 3, 3), p.reshape(*batch, count, 3)

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
        """The pose's leading axes, and the tree with them as one; not yet turned by `R_ground_root`."""
        batch, angles, scales, R_ground_root = _flat(pose)
        placed = R_ground_root is not None
        tree = self._tree("whole", placed)
        ratio = self._ratios(scales)
        amounts, links = self._amounts_and_links(angles, ratio, placed)
        hung = chain.hung(tree, amounts, links)
        origin, markers = hung.points[:, : len(self.order)], hung.points[:, len(self.order) :]
        return batch, Trace(hung.turns, hung.R, origin, markers, ratio.index_select(1, self.ratio_source))

    def _tree(self, points: str, placed: bool) -> Tree:
        """With the points chosen ("point") or all ("whole"); free, or the root placed by a rotation."""
        mode = "placed" if placed else "free"
        turning = (getattr(self, f"{mode}_{part}") for part in ("base", "sine", "versine", "axis", "fixed"))
        slots = (getattr(self, part) for part in ("first", "second", "third", "turn_order"))
        above = tuple(getattr(self, f"above_{i}") for i in range(self.rounds))
        hooks, pulled = (getattr(self, f"{points}_{part}") for part in ("hooks", "pulled"))
        return Tree(*turning, *slots, self.carrier, self.beyond, self.turned, hooks, pulled, above)

    def _amounts_and_links(self, angles: Tensor, ratio: Tensor, placed: bool) -> tuple[Tensor, Tensor]:
        """What chain.py takes; when `placed`, the root's own turns (see Tree) and link do not count."""
        values = self._all_coordinates(angles)
        links = self.link.T[..., None] * ratio.index_select(1, self.link_source)
        links = links.expand(-1, -1, angles.shape[0])
        if self.sliding and not (placed and self.sliding == [ROOT]):
            links = links.index_add(1, self.slide_slots, self._slides(values, ratio))
        if placed:
            # D3KE: with a predicted rotation the root's parent offset and translations are dropped.
            links = torch.cat([torch.zeros_like(links[:, : ROOT + 1]), links[:, ROOT + 1 :]], 1)
        return self._amounts("turn", values), links

    def _all_coordinates(self, angles: Float[Tensor, "batch coord"]) -> Float[Tensor, "column batch"]:
        """Every coordinate of the kept joints: given, coupled, or 0; one row more, always 0."""
        values = pad(angles.T, (0, 0, 0, 1)).index_select(0, self.coordinate_source)
        for dependent, independent, function in self.couplers:
            row = function(values[independent])[None]
            values = torch.cat([values[:dependent], row, values[dependent + 1 :]])
        if self.linear_couplers:
            followed = values.index_select(0, self.coupled_source)
            values = torch.addcmul(self.coupled_offset[:, None], self.coupled_slope[:, None], followed)
        return values

    def _ratios(self, scales: Tensor) -> Tensor:
        """(3, body + 1, batch): scale over the file's; the last, 1, is for ground and bodies not selected."""
        ratio = (scales / self.generic_scales).flatten(1).T
        ratio = torch.cat([ratio, ratio.new_ones(3, ratio.shape[1])])
        return ratio.unflatten(0, (-1, 3)).transpose(0, 1)

    def _amounts(self, kind: str, values: Float[Tensor, "column batch"]) -> Float[Tensor, "axis batch"]:
        """How far each turn (see chain.Tree) turns, rad, or each slide slides, m (place · slots + slot)."""
        source, slope, offset = (getattr(self, f"{kind}_{part}") for part in ("source", "slope", "offset"))
        amount = torch.addcmul(offset[:, None], slope[:, None], values.index_select(0, source))
        if functions := getattr(self, f"{kind}_functions"):
            bent = torch.stack([function(values[column]) for _, column, function in functions])
            amount = amount.index_copy(0, getattr(self, f"{kind}_bent"), bent)
        return amount

    def _slides(self, values: Tensor, ratio: Tensor) -> Tensor:
        """(3, sliding slot, batch): how far the sliding joints have moved in their parent's body."""
        stretch = self._stretch(ratio.index_select(1, self.ratio_source))
        amount = self._amounts("slide", values).unflatten(0, (3, -1)) * stretch
        direction = self.slide_direction.index_select(2, self.slide_slots)
        return (direction[..., None] * amount.index_select(1, self.slide_slots)).sum(1)

    def _stretch(self, ratio: Tensor) -> Tensor:
        """(3 slides, slot, batch): how much the parent's size stretches a slide, its factors by the axis."""
        # OpenSim does not divide by the weights' sum: its scale of 1 changes a slide along an oblique axis.
        parent = ratio.index_select(1, self.parent_slots)
        along = (self.slide_share.permute(2, 1, 0)[..., None] * parent[:, None]).sum(0)
        return torch.where(self.slide_scaled.T[..., None], along, 1.0)

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

    def _make_points(self) -> None:
        arrays = tables.tree(self._slots)
        self.slot = {j.child.body: i for i, j in enumerate(self._slots)}
        markers = {m.name: m for m in self.body.markers}
        marker_slots = np.array([self.slot[markers[n].body] for n in self.markers], np.int64)
        local = np.reshape([markers[n].location for n in self.markers], (-1, 3))
        hanging = tables.links(arrays, marker_slots, local)
        for name, array in (arrays | hanging).items():
            self._constant(name, array)
        rounds = tables.rounds(arrays["parent_slots"])
        for i, above in enumerate(rounds):
            self._constant(f"above_{i}", above)
        self.rounds = len(rounds)
        chosen = [self.order.index(n) for n in self.joints]
        for kind, joints in (("point", chosen), ("whole", range(len(self.order)))):
            hooks = np.array([*joints, *marker_slots], np.int64)
            self._constant(f"{kind}_hooks", hooks)
            self._constant(f"{kind}_pulled", hanging["beyond"][hooks].T)
        bodies = {name: i for i, name in enumerate(self.bodies)}
        sources = np.array([bodies.get(n, len(bodies)) for n in self.slot])
        self._constant("ratio_source", sources)
        self._constant("link_source", sources[hanging["carrier"]])
        self._constant(
            "body_slots", np.array([self.slot[n] for n in self.bodies if n in self.slot], np.int64)
        )
        self._constant("eye", np.eye(3))
        self.parents = tables.parents_among([self._slots[i] for i in chosen], self._slots)

    def _make_coordinates(self, names: list[str]) -> None:
        column = {n: i for i, n in enumerate(names)}
        given = {n: i for i, n in enumerate(self.coordinates)}
        self._constant("coordinate_source", [*(given.get(n, len(given)) for n in names), len(given)])
        self._make_couplers(column)
        driven = {n for n in names if n in given} | {names[i] for i in self.following}
        turning = [tuple(a for a in j.rotations if _turns(a, driven)) for j in self._slots]
        self.turns = tables.places(turning)
        self._make_turns(turning)
        by_slot = [tables.three(j.translations) for j in self._slots]
        slides = [axis for place in zip(*by_slot, strict=True) for axis in place]
        for kind, every in (
            ("turn", [turning[slot][place] for slot, place in self.turns]),
            ("slide", slides),
        ):
            arrays, others = tables.lines(kind, every, column)
            for name, array in arrays.items():
                self._constant(name, array)
            setattr(self, f"{kind}_functions", others)
            self._constant(f"{kind}_bent", np.array([i for i, _, _ in others], np.int64))
        moving = [any(a.coordinate or a.function.line[1] for a in j.translations) for j in self._slots]
        self.sliding = [i for i, moves in enumerate(moving) if moves]
        self._constant("slide_slots", np.array(self.sliding, np.int64))

    def _make_turns(self, turning: list[tuple[Axis, ...]]) -> None:
        for name, array in tables.turn_slots(turning).items():
            self._constant("turn_order" if name == "order" else name, array)
        for mode, root in (("free", None), ("placed", ROOT)):
            for name, array in tables.turns(turning, self._exact, root).items():
                self._constant(f"{mode}_{name}", array)

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
        self.following = [column[c.dependent] for c in active]

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


def _turns(axis: Axis, driven: set[str]) -> bool:
    """Whether a turn can be other than none."""
    return axis.coordinate in driven or not axis.function.is_linear or axis.function.line[1] != 0.0


def _flat(pose: Pose) -> tuple[torch.Size, Tensor, Tensor, Tensor | None]:
    """Leading axes as one, with angles all over it; scales without any become one row."""
    angles, scales, R_ground_root = pose
    shapes = [angles.shape[:-1], scales.shape[:-2]]
    shapes += [R_ground_root.shape[:-2]] if R_ground_root is not None else []
    batch = torch.broadcast_shapes(*shapes)
    count = batch.numel()
    angles = angles.expand(*batch, -1).reshape(count, angles.shape[-1])
    one = scales.ndim == 2
    scales = (scales if one else scales.expand(*batch, -1, -1)).reshape(
        1 if one else count, *scales.shape[-2:]
    )
    if R_ground_root is not None:
        R_ground_root = R_ground_root.expand(*batch, 3, 3).reshape(count, 3, 3)
    return batch, angles, scales, R_ground_root
