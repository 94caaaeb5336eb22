"""One chart of backbones: their blocks in a row, and what they cost."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from d3ke_lib.experiment.report.drawing import COLOURS, QUIET, figure, head
from d3ke_lib.experiment.studies import backbone_anatomy

_STAGES = ("stage 1", "stage 2", "stage 3", "stage 4")


def table(names: Sequence[str], px: int) -> pd.DataFrame:
    """One row a backbone: its anatomy, parameters (M), multiply–adds (G) of an image of px × px."""
    rows = []
    for name in names:
        found = backbone_anatomy.anatomy(name)
        blocks = dict(zip(_STAGES, found.blocks, strict=True))
        group = {"layers": found.layers, "groups": found.cardinality, "group width": found.group_width}
        cost = {
            "parameters (M)": found.parameters / 1e6,
            "multiply-adds (G)": backbone_anatomy.multiply_adds(name, px) / 1e9,
        }
        rows.append(
            {"backbone": name, **blocks, **group, **{key: round(value, 2) for key, value in cost.items()}}
        )
    return pd.DataFrame(rows)


def compare(backbones: pd.DataFrame, marked: Sequence[str], px: int, title: str) -> Figure:
    """Rows of `table`, from the top; `marked` are the two that the project compares."""
    note = f"With the ImageNet classifier; one image of {px} × {px} px. A block is three convolutions."
    with figure(8.6, 1.5 + 0.42 * len(backbones), note) as drawn:
        panels = drawn.subplots(1, 3, sharey=True, width_ratios=(3.4, 1, 1))
        _blocks(panels[0], backbones)
        for axes, column in zip(panels[1:], ("parameters (M)", "multiply-adds (G)")):
            colours = [COLOURS[1] if name in marked else QUIET for name in backbones.backbone]
            bars = axes.barh(range(len(backbones)), backbones[column], 0.6, color=colours)
            axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
            axes.set(xlabel=column)
            axes.margins(x=0.3)
            axes.grid(axis="y", visible=False)
        head(drawn, title)
    return drawn


def _blocks(axes: Axes, backbones: pd.DataFrame) -> None:
    """A rectangle a block, as tall as its first stage's 3×3 convolution is wide."""
    widest = (backbones.groups * backbones["group width"]).max()
    for row, line in backbones.iterrows():
        at, height = 0, 0.15 + 0.6 * line.groups * line["group width"] / widest
        for stage, colour in zip(_STAGES, (COLOURS[i] for i in (5, 0, 4, 2))):
            for _ in range(line[stage]):
                axes.add_patch(Rectangle((at, row - height / 2), 0.8, height, color=colour, linewidth=0))
                at += 1
            at += 0.6
        kind = f"{line['groups']} × {line['group width']}"
        axes.text(at, row, kind, va="center", fontsize=8, color=QUIET)
    axes.set_yticks(range(len(backbones)), backbones.backbone)
    axes.set(xlim=(-0.5, 41), ylim=(len(backbones) - 0.4, -0.6), xticks=[])
    axes.set_xlabel("blocks of stages 1–4; height: channels of stage 1's 3×3 (groups × width)")
    axes.grid(visible=False)
