"""The numbers of our body: what tools/body/make_body.py turns into data/body/d3ke_body.osim and flesh.json.

Everything is drawn standing on the floor, arms down, palms to the thighs, all coordinates 0: metres,
x forward from the midpoint of the front iliac spines, y up from the floor, z to the right.  Only the right
side is written; the left is its mirror image.  Body frames are parallel to these axes, each with its origin
at its proximal joint.

Sources
  [DC]  Drillis & Contini 1966, segment lengths as fractions of stature, as printed in Winter,
        *Biomechanics and Motor Control of Human Movement*, 4th ed. 2009, fig. 4.1.
  [dL]  de Leva 1996, J. Biomech. 29:1223, segment masses and centres of mass; here the mean of women and men.
  [Ha]  Harrington et al. 2007, J. Biomech. 40:595, hip joint centre from pelvic width and depth.
  [ISB] Wu et al. 2002 and 2005, J. Biomech. 35:543 and 38:981, axes and origins.
  [In]  Inman, Saunders & Abbott 1944, J. Bone Joint Surg. 26:1, scapula to humerus 1 : 2.
  Every other number is chosen: our own design, drawn so that the flesh looks like a person.
"""

H = 1.70  # m, stature: the mean subject, chosen
MASS = 70.0  # kg, chosen

# --- joint centres --------------------------------------------------------------------------------
HEIGHTS = (0.039, 0.285, 0.530, 0.630, 0.485)  # [DC]
ANKLE, KNEE, HIP, ELBOW, WRIST = (round(f * H, 4) for f in HEIGHTS)
PELVIC_WIDTH, PELVIC_DEPTH = 0.240, 0.157  # chosen: between the ASIS; from mid-ASIS to mid-PSIS
HIP_X, HIP_Y, HIP_Z = (  # [Ha], from mid-ASIS
    round(-0.24 * PELVIC_DEPTH - 0.0099, 4),
    round(-0.30 * PELVIC_WIDTH - 0.0109, 4),
    round(0.33 * PELVIC_WIDTH + 0.0073, 4),
)
SHOULDER, NECK, ATLAS = (-0.072, 1.350, 0.108 * H), (-0.105, 1.445, 0.0), (-0.072, 1.548, 0.0)
VERTEBRA_X = {  # chosen: lordosis, kyphosis
    "lumbar5": -0.095, "lumbar4": -0.085, "lumbar3": -0.080, "lumbar2": -0.078, "lumbar1": -0.080,
    "thoracic12": -0.086, "thoracic11": -0.092, "thoracic10": -0.098, "thoracic9": -0.104,
    "thoracic8": -0.110, "thoracic7": -0.115, "thoracic6": -0.119, "thoracic5": -0.121,
    "thoracic4": -0.121, "thoracic3": -0.119, "thoracic2": -0.115, "thoracic1": -0.110,
}  # fmt: skip
L5_S1, LUMBAR, THORACIC = 1.029, 0.0340, 0.0205  # m: height of the lowest disc; height of one level, chosen

ORIGIN = {
    "ground": (0.0, 0.0, 0.0),
    "pelvis": (0.0, HIP - HIP_Y, 0.0),  # mid-ASIS
    **{n: (x, L5_S1 + LUMBAR * min(i, 5) + THORACIC * max(i - 5, 0), 0.0)
       for i, (n, x) in enumerate(VERTEBRA_X.items())},
    "head_neck": NECK,
    **{f"cerv{i}": tuple(n + (a - n) * (7 - i) / 7 for n, a in zip(NECK, ATLAS)) for i in range(6, 0, -1)},
    "jaw": (-0.050, 1.560, 0.0),
    "skull": ATLAS,
    "thorax": (-0.030, 0.815 * H, 0.0),  # incisura jugularis [ISB], height chosen
    "femur_r": (HIP_X, HIP, HIP_Z),
    "tibia_r": (-0.052, KNEE, HIP_Z),
    "talus_r": (-0.080, ANKLE, HIP_Z),
    "calcn_r": (-0.085, 0.040, HIP_Z),
    "toes_r": (0.050, 0.020, HIP_Z),
    "clavicle": (-0.036, 1.381, 0.022),
    "clavphant": (-0.080, 1.382, 0.160),
    "scapula": (-0.080, 1.382, 0.160),
    "scapphant": SHOULDER,
    "humphant": SHOULDER,
    "humphant1": SHOULDER,
    "humerus": SHOULDER,
    "ulna": (SHOULDER[0], ELBOW, SHOULDER[2]),
    "radius": (-0.080, ELBOW - 0.015, SHOULDER[2] + 0.006),  # on the pro-supination axis
    "lunate": (SHOULDER[0], WRIST, SHOULDER[2]),
}  # fmt: skip

# --- joints: name, parent, child, ((coordinate, axis), ...); "MX" is minus x -------------
X, Y, Z, MX = (1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)


def _disc(name, parent, child, free=True):
    stem = name.removesuffix("_IVDjnt")
    turns = ((f"{stem}_FE", Z), (f"{stem}_LB", X), (f"{stem}_AR", Y))
    return name, parent, child, turns if free else ()


_SPINE = ["pelvis", *VERTEBRA_X]
_DISCS = (
    "L5_S1 L4_L5 L3_L4 L2_L3 L1_L2 "
    "T12_L1 T11_T12 T10_T11 T9_T10 T8_T9 T7_T8 T6_T7 T5_T6 T4_T5 T3_T4 T2_T3 T1_T2"
)
_FREE = "L5_S1 L4_L5 T12_L1 T11_T12 T10_T11 T9_T10 T8_T9 T1_T2"  # the other discs are welded

TRUNK_JOINTS = [
    ("ground_pelvis", "ground", "pelvis", (("pelvis_tilt", Z), ("pelvis_list", X), ("pelvis_rotation", Y))),
    *(
        _disc(f"{n}_IVDjnt", _SPINE[i], _SPINE[i + 1], n in _FREE.split())
        for i, n in enumerate(_DISCS.split())
    ),
    _disc("T1_head_neck", "thoracic1", "head_neck"),
]
HEAD_JOINTS = [
    *((f"C7_cerv{i}", "head_neck", f"cerv{i}", ()) for i in range(6, 0, -1)),
    ("skull_jaw", "skull", "jaw", ()),
    ("C7_skull", "head_neck", "skull", (("skull_z", Z), ("skull_y", Y), ("skull_x", X))),
]
LEG_JOINTS = [
    ("hip_r", "pelvis", "femur_r", (("hip_flexion_r", Z), ("hip_adduction_r", X), ("hip_rotation_r", Y))),
    # D3KE: its files mirror knee_angle_y_l and knee_angle_x_l by a coefficient -1 on the right side's axis;
    # here every left coordinate has the mirrored axis and the coefficient 1, so the mirror table holds
    # whoever reads the file.
    ("knee_r", "femur_r", "tibia_r", (("knee_angle_r", Z), ("knee_angle_y_r", Y), ("knee_angle_x_r", X))),
    ("ankle_r", "tibia_r", "talus_r", (("ankle_angle_r", Z),)),
    ("subtalar_r", "talus_r", "calcn_r", (("subtalar_angle_r", Y),)),
    ("mtp_r", "calcn_r", "toes_r", (("mtp_angle_r", Z),)),
]
ARM_JOINTS = [
    ("sternoclavicular", "thorax", "clavicle", (("sternoclavicular_r2", Y), ("sternoclavicular_r3", MX))),
    ("unrotscap", "clavicle", "clavphant", (("unrotscap_r3", MX), ("unrotscap_r2", Y))),
    ("acromioclavicular", "clavphant", "scapula",
     (("acromioclavicular_r2", Y), ("acromioclavicular_r3", MX), ("acromioclavicular_r1", Z))),
    ("unrothum", "scapula", "scapphant", (("unrothum_r1", Z), ("unrothum_r3", MX), ("unrothum_r2", Y))),
    ("shoulder0", "scapphant", "humphant", (("elv_angle", Y),)),
    ("shoulder1", "humphant", "humphant1", (("shoulder_elv", MX), ("shoulder1_r2", Y))),
    ("shoulder2", "humphant1", "humerus", (("shoulder_rot", Y),)),
    ("elbow", "humerus", "ulna", (("elbow_flexion", Z), ("elbow_x", X), ("elbow_y", Y))),
    ("radioulnar", "ulna", "radius", (("pro_sup", Y),)),
    ("radiocarpal", "radius", "lunate", (("deviation", Z), ("flexion", X))),
]  # fmt: skip
RIB_JOINTS = [("T1_rib", "thoracic1", "thorax", (("ribs_bending", Z),))]
CENTER = {"T1_rib": "thoracic1"}  # every other joint turns about its child's origin

# --- ranges of motion, rad: D3KE's, because a network's output 0 means their middle ---------------
_TEN, _QUARTER, _HALF = 0.1745329252, 1.5707963268, 3.1415926536
RANGES = {
    **{f"{n}_{a}": (-_TEN, _TEN) for n in _FREE.split() for a in ("FE", "LB", "AR")},
    "pelvis_tilt": (-31.4159265359, 31.4159265359), "pelvis_list": (-31.4159265359, 31.4159265359),
    "pelvis_rotation": (-31.4159265359, 31.4159265359),
    "L5_S1_FE": (-_QUARTER, _TEN), "L5_S1_LB": (-0.1745, 0.1745), "L5_S1_AR": (-0.1745, 0.1745),
    "T1_head_neck_FE": (-_QUARTER, 0.5235987756), "T1_head_neck_LB": (-0.5235987756, 0.5235987756),
    "T1_head_neck_AR": (-_QUARTER, _QUARTER),
    **{n: (-0.3490658504, 0.3490658504) for n in ("skull_x", "skull_y", "skull_z", "ribs_bending")},
    "hip_flexion_r": (-2.0943951024, _HALF), "hip_adduction_r": (-2.0943951024, 1.0471975512),
    "hip_rotation_r": (-1.5708, 1.5708), "knee_angle_r": (-2.6179938780, _TEN),
    "knee_angle_y_r": (-_TEN, _TEN), "knee_angle_x_r": (-_TEN, _TEN),
    # D3KE: the left ankle goes to 40°, the right to 60°; the left clavicle to -1.571, the right to -1.5741.
    "ankle_angle_r": (-_QUARTER, 1.0471975510), "ankle_angle_l": (-_QUARTER, 0.6981317008),
    "subtalar_angle_r": (-0.3490658504, 0.8726646260), "mtp_angle_r": (-0.2617993878, 0.0),
    "sternoclavicular_r2": (-1.5741, 0.7854), "sternoclavicular_r2_l": (-1.571, 0.7854),
    "sternoclavicular_r3": (-0.524, 0.524), "acromioclavicular_r2": (-1.5708, 1.5708),
    **{n: (-4.7123, 4.7123) for n in ("unrotscap_r2", "unrotscap_r3", "acromioclavicular_r1",
       "acromioclavicular_r3", "unrothum_r1", "unrothum_r2", "unrothum_r3", "shoulder1_r2")},
    "elv_angle": (-_QUARTER, _HALF), "shoulder_elv": (-_TEN, _HALF), "shoulder_rot": (-_QUARTER, _QUARTER),
    "elbow_flexion": (-0.3490658504, _HALF), "elbow_x": (-0.6981317008, 0.6981317008),
    "elbow_y": (-0.6981317008, 0.6981317008), "pro_sup": (-3.3161255788, _QUARTER),
    "deviation": (-0.43633231, 0.61086524), "flexion": (-1.2217304764, 1.2217304764),
}  # fmt: skip

# --- couplings: follower, driver, follower's value when the driver is at END, enforced ------------
# Straight lines through 0.  Scapula upward by a third of the arm's elevation [In]; at 150° the clavicle is
# 20° back and 10° up, the scapula tilted back 20° and turned out 5°, chosen.
END = 2.6179938780  # rad, 150°
_BACK, _UP, _TURN, _UPWARD, _TILT = -0.3490658504, 0.1745329252, -0.0872664626, END / 3, 0.3490658504
COUPLERS = [
    ("sternoclavicular_r2", "shoulder_elv", _BACK, False),
    ("sternoclavicular_r3", "shoulder_elv", _UP, False),
    ("unrotscap_r2", "shoulder_elv", -_BACK, True),
    ("unrotscap_r3", "shoulder_elv", -_UP, True),
    ("acromioclavicular_r1", "shoulder_elv", _TILT, True),
    ("acromioclavicular_r2", "shoulder_elv", _TURN, False),
    ("acromioclavicular_r3", "shoulder_elv", _UPWARD, True),
    ("unrothum_r1", "shoulder_elv", -_TILT, True),
    ("unrothum_r2", "shoulder_elv", -_TURN, True),
    ("unrothum_r3", "shoulder_elv", -_UPWARD, True),
    # D3KE: enforced on the right, absent on the left, and predicted freely on both.  Here: written for both
    # sides, so that they are alike, and enforced on neither.
    ("shoulder1_r2", "elv_angle", -END, False),
]
