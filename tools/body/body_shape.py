"""The flesh, the masses and the markers of our body: the second half of the numbers.

Axes and sources as in body_tables.py.  Flesh is drawn by eye (chosen) to girths and breadths of a person of
1.70 m; the breadths over shoulders and hips are 0.28 and 0.20 of stature.
"""

from body_tables import ATLAS, ORIGIN, VERTEBRA_X

# --- flesh: body, part, garment, a, ra, b, rb: the hull of two spheres ----------------------------
# part: what one sees on a person in a short-sleeved top, long trousers and shoes.
# garment: the smallest garment that covers this piece; a dresser paints it skin where the subject wears less.
MIDDLE_FLESH = [
    ("pelvis", "bottom", "shorts", (-0.075, 0.988, -0.075), 0.085, (-0.075, 0.988, 0.075), 0.085),
    ("pelvis", "bottom", "shorts", (-0.075, 0.925, -0.070), 0.088, (-0.075, 0.925, 0.070), 0.088),
    ("pelvis", "bottom", "shorts", (-0.075, 0.900, 0.0), 0.070, (-0.070, 0.870, 0.0), 0.055),
    ("lumbar5", "top", "shirt", (-0.062, 1.042, -0.060), 0.087, (-0.062, 1.042, 0.060), 0.087),
    ("lumbar3", "top", "shirt", (-0.056, 1.080, 0.0), 0.090, (-0.058, 1.180, 0.0), 0.090),
    ("thoracic11", "top", "shirt", (-0.060, 1.190, 0.0), 0.090, (-0.070, 1.255, 0.0), 0.096),
    ("thorax", "top", "shirt", (-0.070, 1.260, 0.0), 0.096, (-0.084, 1.345, 0.0), 0.085),
    ("thorax", "top", "shirt", (-0.092, 1.395, -0.030), 0.060, (-0.092, 1.395, 0.030), 0.060),
    ("head_neck", "skin", "none", (-0.093, 1.430, 0.0), 0.058, (-0.074, 1.530, 0.0), 0.053),
    ("skull", "skin", "none", (-0.090, 1.625, 0.0), 0.075, (-0.035, 1.627, 0.0), 0.068),
    ("jaw", "skin", "none", (-0.036, 1.595, 0.0), 0.066, (-0.022, 1.522, 0.0), 0.043),
    ("skull", "skin", "none", (0.027, 1.602, 0.0), 0.009, (0.040, 1.572, 0.0), 0.014),  # nose
    ("skull", "hair", "hair", (-0.102, 1.640, 0.0), 0.070, (-0.042, 1.650, 0.0), 0.058),
    ("skull", "hair", "hair", (-0.106, 1.630, 0.0), 0.070, (-0.114, 1.580, 0.0), 0.056),
]
RIGHT_FLESH = [
    ("pelvis", "bottom", "shorts", (-0.105, 0.890, 0.070), 0.080, (-0.100, 0.955, 0.062), 0.076),  # buttock
    ("skull", "skin", "none", (-0.066, 1.592, 0.077), 0.012, (-0.070, 1.565, 0.074), 0.010),  # ear
    ("skull", "hair", "hair", (0.027, 1.623, 0.016), 0.006, (0.017, 1.624, 0.046), 0.006),  # brow
    ("lumbar3", "top", "shirt", (-0.056, 1.080, 0.055), 0.087, (-0.058, 1.180, 0.056), 0.088),  # waist
    ("thoracic11", "top", "shirt", (-0.060, 1.190, 0.056), 0.089, (-0.070, 1.255, 0.061), 0.095),
    ("thorax", "top", "shirt", (-0.070, 1.260, 0.060), 0.096, (-0.084, 1.340, 0.074), 0.082),  # chest
    ("clavicle", "top", "shirt", (-0.098, 1.405, 0.034), 0.052, (-0.084, 1.358, 0.135), 0.040),
    ("scapula", "top", "shirt", (-0.095, 1.325, 0.120), 0.058, (-0.078, 1.350, 0.170), 0.050),
    ("humerus", "top", "sleeve", (-0.072, 1.340, 0.182), 0.052, (-0.072, 1.210, 0.1836), 0.044),
    ("humerus", "skin", "long_sleeve", (-0.072, 1.210, 0.1836), 0.044, (-0.072, 1.071, 0.1836), 0.036),
    ("ulna", "skin", "long_sleeve", (-0.073, 1.071, 0.1836), 0.036, (-0.072, 0.990, 0.1836), 0.037),
    ("ulna", "skin", "long_sleeve", (-0.078, 0.990, 0.1836), 0.034, (-0.084, 0.8345, 0.1836), 0.018),
    ("radius", "skin", "long_sleeve", (-0.066, 1.000, 0.1860), 0.035, (-0.060, 0.8345, 0.1836), 0.019),
    (
        "radius",
        "skin",
        "none",
        (-0.058, 0.810, 0.184),
        0.017,
        (-0.050, 0.735, 0.182),
        0.015,
    ),  # palm
    ("radius", "skin", "none", (-0.071, 0.820, 0.184), 0.020, (-0.071, 0.735, 0.183), 0.015),
    ("radius", "skin", "none", (-0.082, 0.810, 0.184), 0.017, (-0.092, 0.735, 0.182), 0.014),
    ("radius", "skin", "none", (-0.056, 0.735, 0.182), 0.013, (-0.061, 0.653, 0.172), 0.010),  # fingers
    ("radius", "skin", "none", (-0.086, 0.735, 0.182), 0.013, (-0.084, 0.665, 0.172), 0.010),
    ("radius", "skin", "none", (-0.052, 0.800, 0.182), 0.014, (-0.026, 0.738, 0.176), 0.011),  # thumb
    ("femur_r", "bottom", "shorts", (-0.054, 0.880, 0.089), 0.080, (-0.047, 0.700, 0.0890), 0.069),
    ("femur_r", "bottom", "shorts", (-0.047, 0.700, 0.0890), 0.069, (-0.050, 0.510, 0.0865), 0.053),
    ("tibia_r", "bottom", "trousers", (-0.047, 0.485, 0.0865), 0.050, (-0.054, 0.420, 0.0865), 0.048),
    ("tibia_r", "bottom", "trousers", (-0.060, 0.420, 0.0865), 0.050, (-0.070, 0.345, 0.0865), 0.053),
    ("tibia_r", "bottom", "trousers", (-0.070, 0.345, 0.0865), 0.053, (-0.078, 0.185, 0.0865), 0.037),
    ("tibia_r", "bottom", "trousers", (-0.078, 0.185, 0.0865), 0.037, (-0.080, 0.085, 0.0865), 0.035),
    ("calcn_r", "shoe", "shoe", (-0.096, 0.040, 0.0865), 0.040, (-0.080, 0.066, 0.0865), 0.038),
    ("calcn_r", "shoe", "shoe", (-0.065, 0.048, 0.0830), 0.038, (0.045, 0.026, 0.0660), 0.026),
    ("calcn_r", "shoe", "shoe", (-0.065, 0.040, 0.0920), 0.036, (0.030, 0.023, 0.1080), 0.023),
    ("toes_r", "shoe", "shoe", (0.045, 0.026, 0.0660), 0.026, (0.100, 0.022, 0.0740), 0.022),
    ("toes_r", "shoe", "shoe", (0.030, 0.023, 0.1080), 0.023, (0.080, 0.020, 0.1020), 0.020),
]

# --- masses: percent of the whole [dL, mean of both sexes], shared among our bodies ---------------
HEAD, UPPER_TRUNK, MIDDLE_TRUNK, LOWER_TRUNK = 6.81, 15.705, 15.49, 11.82
UPPER_ARM, FOREARM, HAND, THIGH, SHANK, FOOT = 2.63, 1.50, 0.585, 14.47, 4.57, 1.33
PHANTOM = 0.0005  # percent: bodies without substance, which OpenSim wants to weigh something

# body: percent, centre of mass, and the uniform cylinder (its axis, length, radius) that gives the inertia.
# The shares within a segment are chosen.  Centres of limbs lie on the line between the joint centres:
# arm 57.6 %, forearm 45.7 %, thigh 38.5 %, shank 44.4 % from the upper one [dL, mean of both sexes].
_SKULL = (-0.055, 1.610, 0.0)


def _between(upper, lower, fraction):
    return tuple(u + (v - u) * fraction for u, v in zip(ORIGIN[upper], ORIGIN[lower]))


def _slice(body, height, forward):
    x, y, z = ORIGIN[body]
    return x + forward, y + height / 2, z


MASSES = {
    "pelvis": (LOWER_TRUNK, (-0.075, 0.940, 0.0), "y", 0.17, 0.13),
    **{n: (MIDDLE_TRUNK / 9, _slice(n, 0.034, 0.030), "y", 0.034, 0.12)
       for n in tuple(VERTEBRA_X)[:9]},
    **{f"thoracic{i}": (0.03 * UPPER_TRUNK, _slice(f"thoracic{i}", 0.0205, 0.0), "y", 0.0205, 0.05)
       for i in range(8, 0, -1)},
    "thorax": (0.56 * UPPER_TRUNK, (-0.075, 1.310, 0.0), "y", 0.20, 0.13),
    "clavicle": (0.03 * UPPER_TRUNK, (-0.070, 1.385, 0.090), "z", 0.14, 0.03),
    "scapula": (0.07 * UPPER_TRUNK, (-0.100, 1.330, 0.120), "y", 0.14, 0.05),
    "head_neck": (0.14 * HEAD, (-0.090, 1.470, 0.0), "y", 0.10, 0.055),
    **{f"cerv{i}": (0.005 * HEAD, ORIGIN[f"cerv{i}"], "y", 0.015, 0.02) for i in range(6, 0, -1)},
    "jaw": (0.05 * HEAD, (-0.020, 1.520, 0.0), "y", 0.03, 0.04),
    "skull": (0.78 * HEAD, _SKULL, "y", 0.19, 0.075),
    "humerus": (UPPER_ARM, _between("humerus", "ulna", 0.576), "y", 0.28, 0.044),
    "ulna": (FOREARM / 2, _between("ulna", "lunate", 0.457), "y", 0.25, 0.035),
    "radius": (FOREARM / 2, _between("ulna", "lunate", 0.457), "y", 0.25, 0.035),
    "lunate": (HAND, (-0.071, 0.745, 0.182), "y", 0.18, 0.03),
    "femur_r": (THIGH, _between("femur_r", "tibia_r", 0.385), "y", 0.42, 0.075),
    "tibia_r": (SHANK, _between("tibia_r", "talus_r", 0.444), "y", 0.42, 0.05),
    "talus_r": (0.10 * FOOT, ORIGIN["talus_r"], "x", 0.06, 0.025),
    "calcn_r": (0.75 * FOOT, (-0.045, 0.038, 0.0865), "x", 0.19, 0.035),
    "toes_r": (0.15 * FOOT, (0.070, 0.022, 0.0865), "x", 0.07, 0.022),
    **{n: (PHANTOM, ORIGIN[n], "y", 0.02, 0.01) for n in ("clavphant", "scapphant", "humphant", "humphant1")},
}  # fmt: skip

# --- markers: body, point, direction; the marker lies where the ray leaves the flesh --------------
# Names as in D3KE; bodies as after its scaling step (markers of knee and ankle sit on shank and talus).
FRONT, BACK, OUT, IN, UP = (1, 0, 0), (-1, 0, 0), (0, 0, 1), (0, 0, -1), (0, 1, 0)


def _spine(name, body):
    x, y, z = ORIGIN[body]
    return name, (body, (x, y + 0.010, z), BACK)


SURFACE_MIDDLE = {
    "C7": ("head_neck", (-0.105, 1.452, 0.0), BACK),
    "STRN": ("thorax", (-0.060, 1.235, 0.0), FRONT),
    "CLAV": ("thorax", (-0.060, 1.375, 0.0), FRONT),
    **dict(_spine(f"T{i}", f"thoracic{i}") for i in (12, 10, 8, 1)),
    **dict(_spine(f"Tracking_L{i}", f"lumbar{i}") for i in (5, 4, 3, 2, 1)),
    **dict(_spine(f"Tracking_T{i}", f"thoracic{i}") for i in (11, 9, 7, 6, 5, 4, 3, 2)),
}
SURFACE_RIGHT = {
    "RASI": ("pelvis", (-0.060, ORIGIN["pelvis"][1], 0.120), FRONT),
    "RPSI": ("pelvis", (-0.080, ORIGIN["pelvis"][1] + 0.015, 0.045), BACK),
    "RKNE": ("tibia_r", (-0.052, ORIGIN["tibia_r"][1], ORIGIN["tibia_r"][2]), OUT),
    "RKNI": ("tibia_r", (-0.052, ORIGIN["tibia_r"][1], ORIGIN["tibia_r"][2]), IN),
    "RANK": ("talus_r", (-0.080, ORIGIN["talus_r"][1], ORIGIN["talus_r"][2]), OUT),
    "RANI": ("talus_r", (-0.080, ORIGIN["talus_r"][1], ORIGIN["talus_r"][2]), IN),
    "RHEE": ("calcn_r", (-0.096, 0.040, 0.0865), BACK),
    "RMT1": ("calcn_r", (0.045, 0.026, 0.0660), IN),
    "RMT5": ("toes_r", (0.030, 0.023, 0.1080), OUT),
    "RTOE": ("toes_r", (0.100, 0.022, 0.0740), FRONT),
    "RSHO": ("scapula", (-0.082, 1.360, 0.160), UP),
    "RCLAV": ("clavicle", (-0.075, 1.370, 0.080), (0.8, 0.6, 0.0)),
    "RELB": ("humerus", ORIGIN["ulna"], OUT),
    "RELBIN": ("humerus", ORIGIN["ulna"], IN),
    "RIWR": ("radius", (-0.070, 0.8345, 0.1836), FRONT),
    "ROWR": ("ulna", (-0.070, 0.8345, 0.1836), BACK),
    "RFHD": ("skull", (-0.050, 1.640, 0.0), (0.8, 0.0, 0.6)),
    "RBHD": ("skull", (-0.070, 1.640, 0.0), (-0.8, 0.0, 0.6)),
}
# Inside: SMPL's joint centres, at our joint centres.
INSIDE_MIDDLE = {
    "ROOT": ("pelvis", (-0.060, 0.960, 0.0)),
    "Spine1": ("lumbar4", ORIGIN["lumbar4"]),
    "Spine2": ("thoracic11", ORIGIN["thoracic11"]),
    "Spine3": ("thoracic9", ORIGIN["thoracic9"]),
    "NECK": ("head_neck", ORIGIN["head_neck"]),
    "HEAD": ("skull", ATLAS),
}
INSIDE_RIGHT = {
    "RHIPJ": ("pelvis", ORIGIN["femur_r"]),
    "RKJC": ("tibia_r", ORIGIN["tibia_r"]),
    "RAJC": ("tibia_r", ORIGIN["talus_r"]),
    "RFOOT": ("toes_r", ORIGIN["toes_r"]),
    "RCOL": ("scapula", (-0.082, 1.370, 0.075)),
    "RSHOULDER": ("humerus", ORIGIN["humerus"]),
    "RELC": ("humerus", ORIGIN["ulna"]),
    "RWRIST": ("radius", ORIGIN["lunate"]),
}
# Means of markers, and markers put down on the floor: D3KE's scaling measures between them.
MEANS_MIDDLE = {
    "MASI": ("pelvis", "RASI LASI"), "MPSI": ("pelvis", "RPSI LPSI"), "MHIPJ": ("pelvis", "RHIPJ LHIPJ"),
    "CENTER": ("pelvis", "RASI LASI RPSI LPSI"),
}  # fmt: skip
MEANS_RIGHT = {
    "Virtual_RKJC": ("femur_r", "RKNE RKNI"), "Virtual_RAJC": ("tibia_r", "RANK RANI"),
    "Virtual_RELC": ("humerus", "RELB RELBIN"), "Virtual_RWRIST": ("radius", "RIWR ROWR"),
}  # fmt: skip
FLOOR_RIGHT = {
    "Virtual_Ground_RAJC": ("calcn_r", "Virtual_RAJC"), "Virtual_Ground_RHEE": ("calcn_r", "RHEE"),
    "Virtual_Ground_RFOOT": ("calcn_r", "RFOOT"), "Virtual_Ground_RMT1": ("calcn_r", "RMT1"),
    "Virtual_Ground_RMT5": ("toes_r", "RMT5"), "Virtual_Ground_RTOE": ("toes_r", "RTOE"),
}  # fmt: skip
