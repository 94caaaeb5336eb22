"""Which joints, bones and markers of the base mesh and of the skeleton are the same."""

from d3ke_lib.body.kinematics import Skeleton

# Joint of the skeleton → joint cube of the base mesh.
_LIMBS = {"hip": "upper-leg", "knee": "knee", "ankle": "ankle", "mtp": "foot-1"}
JOINTS = {f"{ours}_{side}": f"{side}-{cube}" for side in "lr" for ours, cube in _LIMBS.items()} | {
    "shoulder2": "r-shoulder", "shoulder2_l": "l-shoulder", "elbow": "r-elbow", "elbow_l": "l-elbow",
    "radiocarpal": "r-hand", "radiocarpal_l": "l-hand", "sternoclavicular": "r-clavicle",
    "sternoclavicular_l": "l-clavicle", "T1_head_neck": "neck", "C7_skull": "head",
}  # fmt: skip
# Bone of the base mesh (a beginning of its name, without side) → body of the skeleton.
BODIES = {
    "root": "pelvis", "pelvis": "pelvis", "spine05": "lumbar4", "spine04": "lumbar2", "spine03": "thoracic12",
    "spine02": "thoracic9", "breast": "thoracic9", "spine01": "thoracic3", "neck01": "cerv6",
    "neck02": "cerv4",
    "neck03": "cerv2", "clavicle": "clavicle", "shoulder01": "scapula", "upperarm": "humerus",
    "lowerarm01": "ulna", "lowerarm02": "radius", "wrist": "radius", "metacarpal": "radius",
    "finger": "radius",
    "upperleg": "femur", "lowerleg": "tibia", "foot": "calcn", "toe": "toes",
}  # fmt: skip
SIDED = {"femur": "_r", "tibia": "_r", "calcn": "_r", "toes": "_r"}  # the others write the right side without
# D3KE's markers that are joint centres, inside the body; the others are on the skin.
_INSIDE = frozenset(
    ["ROOT", "HEAD", "NECK", "Spine1", "Spine2", "Spine3"]
    + [f"{s}{n}" for s in "LR" for n in ("HIPJ", "KJC", "AJC", "FOOT", "COL", "SHOULDER", "ELC", "WRIST")]
)


def find_skin_markers(skeleton: Skeleton) -> list[int]:
    """Numbers of the skeleton's markers that are on the skin."""
    return [i for i, name in enumerate(skeleton.markers) if name not in _INSIDE]


def find_joints(skeleton: Skeleton) -> list[int]:
    """Numbers of the skeleton's joints that the base mesh has, in the order of JOINTS."""
    return [skeleton.joints.index(name) for name in JOINTS]
