"""Forward kinematics of an OpenSim model: Pose → Points, batched and differentiable.

What is computed is reference.py's loop over joints. Here the tree is never walked: all joint rotations are
made at once, then the chains are composed by pointer doubling: after k rounds every body knows its rotation
relative to its 2ᵏ-th ancestor, so a spine of 25 joints takes five products. Points and their derivatives are
tree.py's. Inside, components come first and the batch last: see layout.py.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from d3ke_lib.body import constants
from d3ke_lib.body.layout import flatten, rotate
from d3ke_lib.body.opensim.model import Axis, Body
from d3ke_lib.body.pose import Points, Pose
from d3ke_lib.body.spec import D3KE, Spec, body_file
from d3ke_lib.body.tree import KinematicTree, PosedTree, points_of, pose_tree

_ROOT = 1  # its slot: the first joint on the ground, the one that R_ground_root rotates


class Skeleton(constants.ExactConstants):
    """The skeleton as a layer without weights: `skeleton(pose) -> Points`.

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

    Raises `ValueError` naming what a spec asks for and the model does not have.
    """

    def __init__(self, body: Body, spec: Spec | None = None) -> None:
        super().__init__()
        self.body, self.spec = body, spec
        self.coordinates = spec.coordinates if spec else tuple(c.name for c in body.coordinates)
        self.bodies = spec.bodies if spec else tuple(s.name for s in body.segments)
        self.joints = (*spec.joints, *spec.leaf_joints) if spec else tuple(j.name for j in body.joints)
        self.markers = spec.markers if spec else tuple(m.name for m in body.markers)
        self._refuse_missing()
        self._slots = constants.needed_slots(body, self.bodies, self.joints, self.markers)
        self.order = tuple(j.name for j in self._slots)
        self._make_points()
        self._make_axes(self._make_coordinates())
        self._make_ranges()
        self._apply(lambda tensor: tensor)

    # -- use -----------------------------------------------------------------

    def forward(self, pose: Pose) -> Points:
        """Joint origins and markers in ground, m; with `R_ground_root` the root joint is the origin."""
        batch, angles, scales, R_ground_root = flatten(pose)
        root_given = R_ground_root is not None
        amounts, links = self._amounts_and_links(angles, self.scale_ratios(scales), root_given)
        points = points_of(self.kinematic_tree("chosen", root_given), amounts, links)
        if R_ground_root is not None:
            points = rotate(R_ground_root.permute(1, 2, 0)[:, :, None], points)
        points = points.permute(2, 1, 0).reshape(*batch, len(self.chosen_parent_joint), 3)
        count = len(self.joints)
        return Points(points[..., :count, :], points[..., count:, :])

    def frames(self, pose: Pose) -> tuple[Float[Tensor, "*batch body 3 3"], Float[Tensor, "*batch body 3"]]:
        """Rotation and origin (m) in ground of the frame of each of `bodies`."""
        batch, _, _, R_ground_root = flatten(pose)
        tree, ratio = self._pose(pose)
        R, joint, ratio = (part.index_select(-2, self.body_slots) for part in (tree.R, tree.points, ratio))
        inward = self.child_translation.index_select(0, self.body_slots).T[..., None] * ratio
        p = joint - rotate(R, inward.expand_as(joint))
        R, p = R.permute(3, 2, 0, 1), p.permute(2, 1, 0)
        if R_ground_root is not None:
            R, p = R_ground_root[:, None] @ R, (R_ground_root[:, None] @ p[..., None])[..., 0]
        count = len(self.body_slots)
        return R.reshape(*batch, count, 3, 3), p.reshape(*batch, count, 3)

    def coupled(self, angles: Float[Tensor, "batch coord"]) -> Float[Tensor, "batch coord"]:
        """The coordinates with those that follow a coupler set by it; those of a spec follow none."""
        if self.spec:
            return angles
        return self._all_coordinates(angles)[self.coordinate_source[:-1].argsort()].T.contiguous()

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

    def _pose(self, pose: Pose) -> tuple[PosedTree, Float[Tensor, "3 slot ratio"]]:
        """The tree with every joint and marker, not yet rotated by `R_ground_root`; scale ratio by slot."""
        _, angles, scales, R_ground_root = flatten(pose)
        root_given = R_ground_root is not None
        ratio = self.scale_ratios(scales)
        amounts, links = self._amounts_and_links(angles, ratio, root_given)
        posed = pose_tree(self.kinematic_tree("every", root_given), amounts, links)
        return posed, ratio.index_select(1, self.ratio_source)

    def kinematic_tree(self, points: str, root_given: bool) -> KinematicTree:
        """With the "chosen" points or "every" one; the root's rotation given, or made by its coordinates."""
        mode = "given" if root_given else "free"
        matrices = (getattr(self, f"{mode}_{part}") for part in ("base", "sine", "versine", "axis", "fixed"))
        slots = (self.first, self.second, self.third, self.rotation_order)
        masks = (self.carrier, self.ancestor_mask, self.link_mask)
        of_points = (getattr(self, f"{points}_{part}") for part in ("parent_joint", "point_mask"))
        ancestors = tuple(getattr(self, f"ancestors_{i}") for i in range(self._rounds))
        return KinematicTree(*matrices, *slots, *masks, *of_points, ancestors)

    def _amounts_and_links(self, angles: Tensor, ratio: Tensor, root_given: bool) -> tuple[Tensor, Tensor]:
        """What tree.py takes; with a given root its own axis rotations and link do not count."""
        values = self._all_coordinates(angles)
        links = self.link.T[..., None] * ratio.index_select(1, self.link_source)
        links = links.expand(-1, -1, angles.shape[0])
        if self._sliding and not (root_given and self._sliding == [_ROOT]):
            links = links.index_add(1, self.slide_slots, self._slides(values, ratio))
        if root_given:
            # D3KE: with a predicted rotation the root's parent offset and translations are dropped.
            links = torch.cat([torch.zeros_like(links[:, : _ROOT + 1]), links[:, _ROOT + 1 :]], 1)
        return self._amounts("rotation", values), links

    def _all_coordinates(self, angles: Float[Tensor, "batch coord"]) -> Float[Tensor, "column batch"]:
        """Every coordinate of the slots' joints: given, coupled, or 0; one row more, always 0."""
        values = pad(angles.T, (0, 0, 0, 1)).index_select(0, self.coordinate_source)
        for dependent, independent, function in self.couplers:
            row = function(values[independent])[None]
            values = torch.cat([values[:dependent], row, values[dependent + 1 :]])
        if self._linear_couplers:
            driver = values.index_select(0, self.coupled_source)
            values = torch.addcmul(self.coupled_offset[:, None], self.coupled_slope[:, None], driver)
        return values

    def scale_ratios(self, scales: Tensor) -> Tensor:
        """(3, body + 1, batch): scale over the file's; the last, 1, is for ground and bodies not selected."""
        ratio = (scales / self.generic_scales).flatten(1).T
        ratio = torch.cat([ratio, ratio.new_ones(3, ratio.shape[1])])
        return ratio.unflatten(0, (-1, 3)).transpose(0, 1)

    def _amounts(self, kind: str, values: Float[Tensor, "column batch"]) -> Float[Tensor, "axis batch"]:
        """How far each axis rotates, rad, or slides, m (position · slots + slot)."""
        source, slope, offset = (getattr(self, f"{kind}_{part}") for part in ("source", "slope", "offset"))
        amount = torch.addcmul(offset[:, None], slope[:, None], values.index_select(0, source))
        if functions := getattr(self, f"{kind}_functions"):
            found = torch.stack([function(values[column]) for _, column, function in functions])
            amount = amount.index_copy(0, getattr(self, f"{kind}_nonlinear"), found)
        return amount

    def _slides(self, values: Tensor, ratio: Tensor) -> Tensor:
        """(3, sliding slot, batch): how far the sliding joints have moved in their parent's body."""
        stretch = self.slide_stretch(ratio.index_select(1, self.ratio_source))
        amount = self._amounts("slide", values).unflatten(0, (3, -1)) * stretch
        direction = self.slide_direction.index_select(2, self.slide_slots)
        return (direction[..., None] * amount.index_select(1, self.slide_slots)).sum(1)

    def slide_stretch(self, ratio: Tensor) -> Tensor:
        """(3 slides, slot, batch): how much the parent's size stretches a slide, its factors by the axis."""
        # OpenSim does not divide by the weights' sum: its scale of 1 changes a slide along an oblique axis.
        parent = ratio.index_select(1, self.parent_slots)
        along = (self.slide_share.permute(2, 1, 0)[..., None] * parent[:, None]).sum(0)
        return torch.where(self.slide_scaled.T[..., None], along, 1.0)

    # -- construction ------------------------------------------------------------

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
                raise ValueError(f"{self.body.source}: expected {kind} {missing} of the spec, found none")

    def _make_points(self) -> None:
        markers = {m.name: m for m in self.body.markers}
        chosen = [self.order.index(n) for n in self.joints]
        found = [markers[n] for n in self.markers]
        self.register_exact(constants.points(self._slots, self.bodies, chosen, found))
        rounds = constants.ancestor_rounds(self._slots)
        self.register_exact({f"ancestors_{i}": ancestors for i, ancestors in enumerate(rounds)})
        self._rounds = len(rounds)
        self.parents = constants.chosen_parents([self._slots[i] for i in chosen], self._slots)

    def _make_coordinates(self) -> dict[str, int]:
        """The column of each coordinate's value."""
        names = [c.name for j in self._slots for c in j.coordinates]
        column = {n: i for i, n in enumerate(names)}
        given = {n: i for i, n in enumerate(self.coordinates)}
        source = np.array([*(given.get(n, len(given)) for n in names), len(given)])
        active = constants.active_couplers(self.body, given if self.spec else {}, column)
        linear = all(c.function.is_linear for c in active)
        self.register_exact({"coordinate_source": source})
        self.register_exact(constants.linear_couplers(active if linear else [], column))
        self._linear_couplers = bool(active) and linear
        nonlinear = [] if linear else active
        self.couplers = [(column[c.dependent], column[c.independent], c.function) for c in nonlinear]
        self._driven = {n for n in names if n in given} | {c.dependent for c in active}
        return column

    def _make_axes(self, column: dict[str, int]) -> None:
        axes = constants.rotation_axes(self._slots, self._driven)
        self.rotations = constants.rotation_positions(axes)
        self.register_exact(constants.rotation_slots(axes))
        for mode, root in (("free", None), ("given", _ROOT)):
            found = constants.rotation_matrices(axes, self._slots, root)
            self.register_exact({f"{mode}_{name}": array for name, array in found.items()})
        by_kind: dict[str, list[Axis]] = {
            "rotation": [axes[slot][position] for slot, position in self.rotations],
            "slide": constants.slides(self._slots),
        }
        for kind, every in by_kind.items():
            arrays, others = constants.axis_functions(kind, every, column)
            self.register_exact(arrays)
            setattr(self, f"{kind}_functions", others)
        self._sliding = constants.sliding_slots(self._slots)
        self.register_exact({"slide_slots": np.array(self._sliding, np.int64)})

    def _make_ranges(self) -> None:
        limits = {c.name: c.range for c in self.body.coordinates}
        ranges = np.reshape([limits[n] for n in self.coordinates], (-1, 2))
        middle, half = constants.output_ranges(ranges)
        factors = {s.name: s.scale_factors for s in self.body.segments}
        generic = np.reshape([factors[n] for n in self.bodies], (-1, 3))
        self.register_exact({"ranges": ranges, "generic_scales": generic})
        self.register_exact({"angle_middle": middle, "angle_half": half})
        if self.spec:
            self.register_exact(
                {
                    "scale_middle": np.array(self.spec.unique_scale_mean),
                    "scale_half": np.array(self.spec.unique_scale_amplitude),
                    "scale_index": np.array(self.spec.body_scale_mapping),
                    "marker_weights": np.array(self.spec.marker_ik_weight, float),
                }
            )


@cache
def _load(path: Path) -> Body:
    from d3ke_lib.body.opensim.read import load_osim  # the XML reader: for those who read a file alone

    return load_osim(path)


def default_skeleton() -> Skeleton:
    """The skeleton layer of `spec.body_file` with D3KE's interface, float32 on the CPU.

    Raises OsimError for a file that cannot be read, ValueError naming what D3KE predicts and the model lacks.
    """
    return Skeleton(_load(body_file()), D3KE)
