"""Images of subjects: sheets of crops and of what varies in synthetic ones; skeletons over what a camera saw.

A take is drawn from streams of its own, so that a frame of the records can be rendered again, larger.
Images are uint8 RGB, (3, height, width) as tensors and (height, width, 3) as arrays for files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Points
from d3ke_lib.data.camera import Camera, pixels
from d3ke_lib.data.synthetic import generate
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.mixtures import MIXTURE
from d3ke_lib.experiment.report.drawing import COLOURS, figure, head

_Image = UInt8[Tensor, "3 height width"]
_Seen = UInt8[Tensor, "3 px px"]  # by the network
_LARGE = 256  # px
PREDICTED_COLOUR = COLOURS[4]
_TRUE_COLOURS = dict.fromkeys(("left", "right", "middle"), "#FFFFFF")
_PREDICTED_COLOURS = {"left": COLOURS[5], "right": PREDICTED_COLOUR, "middle": COLOURS[7]}
_ARROW = 0.4  # m


def bones(skeleton: Skeleton) -> list[tuple[int, int]]:
    """(joint, its parent) for every joint that has one."""
    return [(joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0]


def contact_sheet(
    images: UInt8[Tensor, "image 3 height width"],
    labels: Sequence[str],
    note: str,
    title: str,
    columns: int = 8,
) -> tuple[Figure, pd.DataFrame]:
    """Images in rows with a label below each, and the table of labels."""
    columns = min(columns, max(4, len(images)))
    rows = -(-len(images) // columns)
    with figure(7.6, 0.5 + rows * 1.15 * 7.6 / columns, note) as drawn:
        panels = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for axes, image, label in zip(panels, images, labels):
            axes.imshow(image.permute(1, 2, 0).numpy())
            axes.set_title(label, fontsize=6.5, fontweight="normal", loc="center", y=-0.16)
        head(drawn, title)
    return drawn, pd.DataFrame({"image": range(1, len(labels) + 1), "label": list(labels)})


def skeleton_over_image(
    skeleton: Skeleton,
    images: UInt8[Tensor, "image 3 height width"],
    cameras: Camera,
    true: Points,
    predicted: Points,
    labels: Sequence[str],
    note: str,
    title: str,
) -> tuple[Figure, pd.DataFrame]:
    """True (white) and predicted joints over crops, right orange, left blue; an arrow to where each faces.

    Points in m in the frame of `cameras` (image,). Predicted points are relative to the pelvis joint: they
    are drawn from the true pelvis.
    """
    moved = predicted.joints - predicted.joints[:, :1] + true.joints[:, :1]
    joints = {"true": true.joints, "predicted": moved}
    xy = {what: pixels(cameras, points) for what, points in joints.items()}
    arrows = {what: pixels(cameras, _arrow(skeleton, points)) for what, points in joints.items()}
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    with figure(7.6, 0.6 + rows * 1.1 * 7.6 / columns, note) as drawn:
        panels = drawn.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for i, (axes, image) in enumerate(zip(panels, images)):
            axes.imshow(image.permute(1, 2, 0).numpy(), extent=(0, image.shape[2], image.shape[1], 0))
            for what, colours in (("true", _TRUE_COLOURS), ("predicted", _PREDICTED_COLOURS)):
                _draw_skeleton(axes, xy[what][i], arrows[what][i], skeleton, colours)
            axes.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))
            axes.set_title(labels[i], fontsize=9, fontweight="normal", loc="center")
        head(drawn, title)
    return drawn, _table(xy, skeleton, labels)


def facing(skeleton: Skeleton, joints: Float[Tensor, "*batch joint 3"]) -> Float[Tensor, "*batch 3"]:
    """Where the pelvis faces, a unit vector in the points' frame: up the spine × from left hip to right."""
    right, left, spine = (
        joints[..., skeleton.joints.index(n), :] for n in ("hip_r", "hip_l", "T12_L1_IVDjnt")
    )
    return torch.nn.functional.normalize(torch.linalg.cross(spine - (right + left) / 2, right - left), dim=-1)


def _arrow(skeleton: Skeleton, joints: Float[Tensor, "image joint 3"]) -> Float[Tensor, "image 2 3"]:
    start = joints[:, 0]
    return torch.stack([start, start + _ARROW * facing(skeleton, joints)], 1)


def side_of(joint: str, skeleton: Skeleton) -> str:
    """left, right or middle, by name: a left joint ends in _l, its right twin in _r or has no ending."""
    if joint.endswith("_l"):
        return "left"
    return "right" if joint.endswith("_r") or f"{joint}_l" in skeleton.joints else "middle"


def _draw_skeleton(
    axes: Axes,
    xy: Float[Tensor, "joint 2"],
    arrow: Float[Tensor, "2 2"],
    skeleton: Skeleton,
    colours: Mapping[str, str],
) -> None:
    segments = [[xy[a].tolist(), xy[b].tolist()] for a, b in bones(skeleton)]
    own = [colours[side_of(skeleton.joints[joint], skeleton)] for joint, _ in bones(skeleton)]
    axes.add_collection(LineCollection(segments, colors="black", linewidths=2.0, alpha=0.6))
    axes.add_collection(LineCollection(segments, colors=own, linewidths=1.2))
    start, end = arrow.tolist()
    style = {"arrowstyle": "-|>", "mutation_scale": 7, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops={**style, "color": colours["middle"], "linewidth": 1.2})


def _table(xy: dict[str, Tensor], skeleton: Skeleton, labels: Sequence[str]) -> pd.DataFrame:
    rows = [
        (labels[i], joint, what, round(float(x), 2), round(float(y), 2))
        for what, points in xy.items()
        for i, image in enumerate(points)
        for joint, (x, y) in zip(skeleton.joints, image)
    ]
    return pd.DataFrame(rows, columns=["image", "joint", "what", "x_px", "y_px"])


# --- synthetic images, rendered again --------------------------------------------------------------------


def render_large(
    data: DataConfig, subject: int, action: str, look: str, frame: int, px: int = _LARGE
) -> _Image:
    """A frame of a training subject's action, as wide as the network's crop. `frame`: of the action.

    Raises ValueError for a mixture: its number depends on the other takes of the records.
    """
    if action == MIXTURE:
        raise ValueError(f"action: expected one of {', '.join(data.actions)}, found {action!r}")
    one = replace(data, actions=(action,), train_cameras=(look,), px=px, margin=1.0)
    return next(generate.make_takes(one, (subject, (look,))))[look][1][frame]


def draw_variety(data: DataConfig, count: int = 6, px: int = 128) -> dict[str, dict[str, _Image]]:
    """Row → label → image: subjects, their mixtures, rooms with their light, looks; at the first instant."""
    still = replace(data, train=max(count, data.train), seconds=1 / data.fps, px=px, margin=1.0)
    actions = still.seen_actions
    alone = replace(still, actions=actions[:1], train_cameras=("PG1",))
    people, mixtures = {}, {}
    for subject in range(1, count + 1):
        action, mixture = (shots["PG1"][1][0] for shots in generate.make_takes(alone, (subject, ("PG1",))))
        people[f"subject {subject}"], mixtures[f"subject {subject}"] = action, mixture
    several = replace(still, actions=actions[:count], train_cameras=("R1",))
    takes = zip(several.list_takes(1), generate.make_takes(several, (1, ("R1",))))
    rooms = {action.replace("_", " "): shots["R1"][1][0] for action, shots in takes if action != MIXTURE}
    seen = next(generate.make_takes(replace(alone, train_cameras=LOOKS), (1, LOOKS)))
    return {
        "Bodies, clothes and hair": people,
        "Mixtures of actions": mixtures,
        "Rooms, furniture, light and sensor": rooms,
        "One instant by all looks; H1 is held out": {look: seen[look][1][0] for look in LOOKS},
    }


def sheet_in_rows(
    rows: Mapping[str, Mapping[str, _Image]], note: str, title: str
) -> tuple[Figure, pd.DataFrame]:
    """A titled row of images for each entry, and the table of labels."""
    columns = max(map(len, rows.values()))
    with figure(7.6, 0.5 + len(rows) * (7.6 / columns + 0.42), note) as drawn:
        for part, (name, images) in zip(drawn.subfigures(len(rows), 1, squeeze=False)[:, 0], rows.items()):
            part.suptitle(name, x=0.01, ha="left", fontsize=10)
            panels = part.subplots(1, columns, squeeze=False)[0]
            for axes in panels:
                axes.set_axis_off()
            for axes, (label, image) in zip(panels, images.items()):
                axes.imshow(image.permute(1, 2, 0).numpy())
                axes.set_title(label, fontsize=7, fontweight="normal", loc="center", y=-0.16)
        head(drawn, title)
    table = pd.DataFrame([(row, label) for row, images in rows.items() for label in images])
    return drawn, table.set_axis(["row", "label"], axis=1)


def sheet_in_pairs(
    large: Sequence[_Image], seen: Sequence[_Seen], labels: Sequence[str], note: str, title: str
) -> tuple[Figure, pd.DataFrame]:
    """Each large image with, on its right, what the network sees of the same frame: pixel by pixel."""
    columns = min(2, len(large))
    rows = -(-len(large) // columns)
    with figure(7.6, 0.5 + rows * 1.06 * 7.6 / (2 * columns), note) as drawn:
        panels = drawn.subplots(rows, 2 * columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for i, pair in enumerate(zip(large, seen)):
            for axes, image, label in zip(panels[2 * i : 2 * i + 2], pair, (labels[i], "seen")):
                axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
                axes.set_title(
                    f"{label}, {image.shape[-1]} px", fontsize=8, fontweight="normal", loc="center"
                )
        head(drawn, title)
    return drawn, pd.DataFrame({"image": range(1, len(labels) + 1), "label": list(labels)})
