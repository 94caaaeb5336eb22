"""Motions that our body and SMPL-H can both do exactly, and the SMPL-H poses that are them.

Every SMPL-H joint turns freely about a point, so a pose is the turns of our body's segments, each relative
to the one before. What a chain of two of our joints does about two points, one of SMPL-H's cannot: of the
spine's joints those turn that are SMPL-H's, and the shoulder blades turn about the point where SMPL-H's
collars do.
"""

import math

import roma
import torch
from jaxtyping import Float
from torch import Tensor

from bmlmovi_fixture.smplh_body import (
    JOINTS,
    PARENTS,
    PARTS,
    R_OSIM_TEMPLATE,
    rest_rotations,
    skeleton,
    t_pose,
)
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.synthetic.channels import comfortable_ranges, soft_clamp

COLUMN = {name: i for i, name in enumerate(D3KE.coordinates)}
# Joints of the spine: the one that turns, and those whose turns it takes over.
SPINE = {
    "L4_L5": ("L5_S1", "L4_L5"),
    "T11_T12": ("T12_L1", "T11_T12"),
    "T9_T10": ("T10_T11", "T9_T10", "T8_T9"),
    "T1_head_neck": ("T1_T2", "T1_head_neck"),
}
TURNS = ("FE", "LB", "AR")
ELEVATION = (math.radians(45), math.radians(110))  # above 118° no clavicle is long enough
SUBTALAR = math.radians(6)  # its axis and the ankle's are 5 mm apart: at 6° that is half a millimetre
# What the shoulder blade's place is solved for, by side.
BLADE = {"": "RCOL", "_l": "LCOL"}
BLADE_TURNS = ("sternoclavicular_r2", "sternoclavicular_r3", "acromioclavicular_r2")
STEPS = 12


def representable(
    angles: Float[Tensor, "time coord"], scales: Float[Tensor, "body 3"]
) -> Float[Tensor, "time coord"]:
    """The nearest thing to `angles` (rad) that SMPL-H can do with a body of these scale factors."""
    angles = gathered(angles)
    for side in BLADE:
        column = COLUMN[f"shoulder_elv{side}"]
        low, high = comfortable_ranges()[column]
        share = (angles[:, column] - low) / (high - low)
        angles[:, column] = ELEVATION[0] + (ELEVATION[1] - ELEVATION[0]) * share
        foot = COLUMN[f"subtalar_angle{side or '_r'}"]
        angles[:, foot] = soft_clamp(
            angles[:, foot, None], comfortable_ranges().new_tensor([[-SUBTALAR, SUBTALAR]])
        )[:, 0]
    angles[:, COLUMN["ribs_bending"]] = 0
    angles[:, COLUMN["shoulder1_r2"]] = -angles[:, COLUMN["elv_angle"]]
    return held(angles, scales)


def gathered(angles: Float[Tensor, "time coord"]) -> Float[Tensor, "time coord"]:
    """All turns of a part of the spine in the joint that is SMPL-H's, inside its range."""
    gathered = angles.clone()
    for joint, sources in SPINE.items():
        for turn in TURNS:
            total = angles[:, [COLUMN[f"{source}_{turn}"] for source in sources]].sum(-1, keepdim=True)
            gathered[:, [COLUMN[f"{source}_{turn}"] for source in sources]] = 0
            column = COLUMN[f"{joint}_{turn}"]
            gathered[:, column] = soft_clamp(total, skeleton().ranges[column : column + 1])[:, 0]
    return gathered


def held(angles: Float[Tensor, "time coord"], scales: Float[Tensor, "body 3"]) -> Float[Tensor, "time coord"]:
    """The shoulders' bones turned so that SMPL-H's collar joints stay where they are in the T-pose.

    Newton's method; raises ValueError where an elevation is out of reach.
    """
    rest = t_pose(torch.ones_like(skeleton().scale_middle)).angles
    columns = torch.tensor([[COLUMN[name + side] for name in BLADE_TURNS] for side in BLADE])
    still = torch.zeros_like(angles)
    arms = [i for name, i in COLUMN.items() if name.removesuffix("_l") in (*BLADE_TURNS, "shoulder_elv")]
    still[:, arms] = angles[:, arms]
    still[:, columns] = rest[columns]
    aim = collars(rest[None], scales)
    for _ in range(STEPS):
        off = aim - collars(still, scales)
        if off.abs().max() < 1e-9:
            angles = angles.clone()
            angles[:, columns] = still[:, columns]
            return angles
        still[:, columns] += newton(still, scales, columns, off)
    raise ValueError(f"shoulder blades: expected within 1e-9 m of the collars, found {off.abs().max():.1e} m")


def newton(still: Tensor, scales: Tensor, columns: Tensor, off: Tensor) -> Float[Tensor, "time side turn"]:
    step = 1e-6
    slopes = []
    for turn in range(columns.shape[1]):
        moved = still.clone()
        moved[:, columns[:, turn]] += step
        slopes.append((collars(moved, scales) - collars(still, scales)) / step)
    return torch.linalg.solve(torch.stack(slopes, -1), off)


def collars(
    angles: Float[Tensor, "time coord"], scales: Float[Tensor, "body 3"]
) -> Float[Tensor, "time 2 3"]:
    """Where the markers of SMPL-H's collar joints are, by side; the pelvis at the origin."""
    pose = Pose(angles, scales, torch.eye(3).to(angles))
    return skeleton()(pose).markers[:, [skeleton().markers.index(name) for name in BLADE.values()]]


# -- as SMPL-H ---------------------------------------------------------------------------------------------


def smplh_poses(pose: Pose) -> Float[Tensor, "time axis_angle"]:
    """A pose (R_ground_root in AMASS' world) as 52 turns, axis times angle: each relative to its parent's."""
    R_world_body, _ = skeleton().frames(pose)
    rows = [skeleton().bodies.index(PARTS[part][0]) for part in range(len(PARTS))]
    turned = (
        R_world_body[:, rows] @ rest_rotations()[rows].mT @ torch.tensor(R_OSIM_TEMPLATE).to(R_world_body)
    )
    own = turned.clone()
    own[:, 1:] = turned[:, list(PARENTS[1 : len(PARTS)])].mT @ turned[:, 1:]
    fingers = own.new_zeros(len(own), 3 * (JOINTS - len(PARTS)))
    return torch.cat([roma.rotmat_to_rotvec(own).flatten(-2), fingers], -1)


def smplh_place(
    pose: Pose, root: Float[Tensor, "time 3"], rest_pelvis: Float[Tensor, " 3"]
) -> Float[Tensor, "time 3"]:
    """AMASS' `trans`: how far SMPL-H's pelvis joint, ROOT, is from where it rests. `root`: our pelvis', m."""
    at = skeleton().markers.index("ROOT")
    return skeleton()(pose).markers[:, at] + root - rest_pelvis
