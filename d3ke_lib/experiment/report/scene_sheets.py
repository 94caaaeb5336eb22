"""What synthetic images are made of, rendered larger than the records' crops: sheets of examples.

Images are uint8 RGB, (3, height, width). A take is drawn from streams of its own, so that a frame of the
records can be rendered again at another size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from d3ke_lib.data.synthetic import generate
from d3ke_lib.data.synthetic.cameras import LOOKS
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.data.synthetic.mixtures import MIXTURE
from d3ke_lib.experiment.report.drawing import figure, head

_Image = UInt8[Tensor, "3 height width"]
LARGE = 256  # px


def render_large(
    data: DataConfig, subject: int, action: str, look: str, frame: int, px: int = LARGE
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
    large: Sequence[_Image], seen: Sequence[_Image], labels: Sequence[str], note: str, title: str
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
