"""BlazePose's 33 landmarks by name, in its order; left and right are the person's."""

NAMES: tuple[str, ...] = (
    "nose",
    *(f"{side}_eye{part}" for side in ("left", "right") for part in ("_inner", "", "_outer")),
    *(
        f"{side}_{part}"
        for part in (
            *("ear", "mouth", "shoulder", "elbow", "wrist", "pinky", "index", "thumb"),
            *("hip", "knee", "ankle", "heel", "foot_index"),
        )
        for side in ("left", "right")
    ),
)
# Index of each landmark's counterpart on the other side (its own on the midline).
MIRRORED: tuple[int, ...] = tuple(
    NAMES.index(name.replace("left", "?").replace("right", "left").replace("?", "right")) for name in NAMES
)
