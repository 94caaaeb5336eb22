"""Images and a table of the body itself: its flesh shaded, joints and markers over it, its coordinates."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from numpy import ndarray

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.spec import BODY_FILE

_COLOURS = {
    "skin": (0.91, 0.75, 0.64),
    "hair": (0.30, 0.22, 0.17),
    "top": (0.36, 0.54, 0.66),
    "bottom": (0.37, 0.38, 0.44),
    "shoe": (0.22, 0.22, 0.24),
}
# What the image's right and up are, in body axes (x forward, y up, z to the person's right).
VIEWS = {
    "front": ((0, 0, -1), (0, 1, 0)),
    "side": ((1, 0, 0), (0, 1, 0)),
    "back": ((0, 0, 1), (0, 1, 0)),
    "oblique": ((0.6, 0, -0.8), (0, 1, 0)),
}
_EDGES = (-0.5, 0.5, -1.05, 0.8)  # m, around the pelvis: left, right, bottom, top of the image
GROUPS = {  # anatomical group: pattern of its coordinates' names
    "lower back": r"(L5_S1|L4_L5|T12_L1)_",
    "upper back": r"(T11_T12|T10_T11|T9_T10|T8_T9|T1_T2)_",
    "ribs": r"ribs_bending",
    "neck": r"T1_head_neck_",
    "head": r"skull_",
    "hips": r"hip_",
    "knees": r"knee_",
    "ankles and feet": r"(ankle|subtalar|mtp)_",
    "shoulder girdle": r"(sternoclavicular|acromioclavicular)_",
    "shoulders": r"(elv_angle|shoulder)",
    "elbows and forearms": r"(elbow|pro_sup)",
}


def coordinate_table(skeleton: Skeleton) -> pd.DataFrame:
    """One row per coordinate in the skeleton's order: group, name, from_deg and to_deg.

    Raises `ValueError` for a coordinate of no group.
    """
    rows = []
    for name, limits in zip(skeleton.coordinates, skeleton.ranges.tolist(), strict=True):
        group = next((g for g, pattern in GROUPS.items() if re.match(pattern, name)), None)
        if group is None:
            raise ValueError(f"coordinate {name!r} is in none of the groups {list(GROUPS)}")
        rows.append((group, name, *np.rad2deg(limits).round(1)))
    return pd.DataFrame(rows, columns=["group", "coordinate", "from_deg", "to_deg"])


def pose_of(skeleton: Skeleton, degrees: dict[str, float] | None = None) -> Pose:
    """Standing with some coordinates moved (degrees); the pelvis at the origin, x forward, y up, z right."""
    angles = torch.zeros(len(skeleton.coordinates)).to(skeleton.generic_scales)
    for name, value in (degrees or {}).items():
        angles[skeleton.coordinates.index(name)] = np.deg2rad(value)
    return Pose(angles, skeleton.generic_scales, torch.eye(3).to(angles))


def load_flesh(path: Path | None = None) -> list[dict]:
    """The cones of flesh.json: body, part, garment, a, b (m, body frame), ra, rb (m)."""
    path = BODY_FILE.with_name("flesh.json") if path is None else path
    return json.loads(path.read_text(encoding="utf-8"))["cones"]


def spheres(
    skeleton: Skeleton, pose: Pose, steps: int = 40
) -> tuple[Float[ndarray, "n 3"], Float[ndarray, " n"], Float[ndarray, "n 3"]]:
    """Posed flesh as spheres, `steps` a cone: centres (m, ground), radii (m) and colours (RGB in [0, 1])."""
    R, p = (t.detach().double().numpy() for t in skeleton.frames(pose))
    ratio = (pose.scales / skeleton.generic_scales).detach().double().numpy()
    share = np.linspace(0, 1, steps)[:, None]
    centres, radii, colours = [], [], []
    for cone in load_flesh():
        i = skeleton.bodies.index(cone["body"])
        local = (1 - share) * np.array(cone["a"]) + share * np.array(cone["b"])
        centres.append((local * ratio[i]) @ R[i].T + p[i])
        radii.append(((1 - share) * cone["ra"] + share * cone["rb"])[:, 0] * np.prod(ratio[i]) ** (1 / 3))
        colours.append(np.tile(_COLOURS[cone["part"]], (steps, 1)))
    return np.concatenate(centres), np.concatenate(radii), np.concatenate(colours)


def shaded(
    flesh: tuple, right: tuple, up: tuple, extent: tuple, pixels_per_m: int = 250
) -> UInt8[ndarray, "h w 4"]:
    """Orthographic view of spheres, lit from the viewer's upper left; transparent where there is nothing.

    `extent` is (left, right, bottom, top), m along the image's axes, as imshow takes it.
    """
    centres, radii, colours = flesh
    axes = np.array([right, up, np.cross(right, up)], float)
    x = np.arange(extent[0], extent[1], 1 / pixels_per_m) + 0.5 / pixels_per_m
    y = np.arange(extent[3], extent[2], -1 / pixels_per_m) - 0.5 / pixels_per_m
    depth, image = np.full((len(y), len(x)), -np.inf), np.zeros((len(y), len(x), 4))
    light = np.array([-0.4, 0.5, 0.77])
    for (u, v, w), r, colour in zip(centres @ axes.T, radii, colours, strict=True):
        columns, rows = np.flatnonzero(abs(x - u) < r), np.flatnonzero(abs(y - v) < r)
        dx, dy = np.meshgrid((x[columns] - u) / r, (y[rows] - v) / r)
        dz = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, None))
        window = np.ix_(rows, columns)
        seen = (dz > 0) & (w + r * dz > depth[window])
        shade = np.clip(0.35 + 0.65 * (np.stack([dx, dy, dz], -1) @ light), 0.2, 1)
        rgba = np.concatenate([shade[..., None] * colour, np.ones_like(shade)[..., None]], -1)
        image[window] = np.where(seen[..., None], rgba, image[window])
        depth[window] = np.where(seen, w + r * dz, depth[window])
    return (255 * image).round().astype(np.uint8)


def draw_body(
    ax: Axes, skeleton: Skeleton, pose: Pose, view: str = "front", points: bool = True, extent: tuple = _EDGES
) -> None:
    """Flesh, and over it bones, joints and markers, seen from one side; metres on both axes."""
    right, up = VIEWS[view]
    flesh = spheres(skeleton, pose)
    ax.imshow(shaded(flesh, right, up, extent), extent=extent, alpha=0.55 if points else 1.0)
    ax.set(title=view, xlim=extent[:2], ylim=extent[2:], aspect="equal")
    if points:
        _draw_points(ax, skeleton, pose, np.array([right, up], float))


def _draw_points(ax: Axes, skeleton: Skeleton, pose: Pose, axes: np.ndarray) -> None:
    with torch.no_grad():
        joints, markers = (p.double().numpy() @ axes.T for p in skeleton(pose))
    for child, parent in enumerate(skeleton.parents):
        if parent >= 0:
            ax.plot(*joints[[parent, child]].T, color="black", linewidth=1)
    ax.scatter(*joints.T, s=8, color="black", zorder=3, label="joint")
    ax.scatter(*markers.T, s=9, color="crimson", zorder=4, label="marker")


def draw_frames(
    ax: Axes,
    skeleton: Skeleton,
    pose: Pose,
    view: str = "front",
    length: float = 0.06,
    extent: tuple = _EDGES,
) -> None:
    """Flesh, and over it every body's frame: x red, y green, z blue, `length` m each."""
    draw_body(ax, skeleton, pose, view, points=False, extent=extent)
    ax.images[-1].set_alpha(0.35)
    onto = np.array(VIEWS[view], float)
    R, p = (t.detach().double().numpy() for t in skeleton.frames(pose))
    for axis, colour in enumerate(("crimson", "forestgreen", "royalblue")):
        ends = np.stack([p, p + length * R[..., axis]]) @ onto.T
        ax.plot(*ends.transpose(2, 0, 1), color=colour, linewidth=1.2)
