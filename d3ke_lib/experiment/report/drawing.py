"""How figures look and are saved: colours, text that is legible on a phone, PNG with the table as CSV.

Colours are Okabe and Ito's, told apart by the colour-blind; a method also has its own marker. NARROW charts
have text of TEXT points or more; wider ones say from which width they are legible (least_width_px).
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from IPython.display import Image as IPythonImage
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from d3ke_lib.files import replacing

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
_LOOKS = {
    "mean pose": ("#9ca3af", "v"),
    "median pose": ("#d1d5db", "<"),
    "mean pose of the action, told": ("#4b5563", ">"),
    "ResNeXt-50": ("#0072B2", "o"),
    "ResNeXt-50 +": ("#56B4E9", "s"),
    "ResNeXt-101": ("#D55E00", "D"),
    "ResNeXt-101 +": ("#E69F00", "^"),
}
_SPARE = (("#009E73", "P"), ("#CC79A7", "X"), ("#000000", "*"), ("#F0E442", "h"))
MARKERS = "oD^svP"  # by seed
TRUTH = "#000000"
QUIET = "#6b7280"
LARGEST_PNG = 200_000  # bytes
NARROW, TEXT = 5.4, 10.0  # inches, points: on a screen of 390 px text is 9 px high
_LEGIBLE_PX = 9.0
_STYLE = {
    "figure.dpi": 130,
    "font.size": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e7eb",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "d3ke",
}


@contextmanager
def figure(width: float, height: float, note: str) -> Iterator[Figure]:
    """An empty figure (inches) in our style, of no window; `note` says below it what data it shows."""
    with mpl.rc_context(_STYLE):
        drawn = Figure((width, height), layout="constrained")
        yield drawn
        drawn.supxlabel(_wrap(note, width), x=0.01, ha="left", fontsize=TEXT, color=QUIET)


def _wrap(text: str, width: float) -> str:
    """Lines that fit into a figure of so many inches."""
    return textwrap.fill(text, round(width * 72 / (0.56 * TEXT)))


def head(drawn: Figure, title: str, axes: Axes | None = None, columns: int = 2) -> None:
    """The title, and below it the legend of the axes, above all panels."""
    drawn.set_label(title)
    handles, labels = axes.get_legend_handles_labels() if axes else ([], [])
    wrapped = _wrap(title, drawn.get_figwidth())
    if not handles:
        drawn.suptitle(wrapped, x=0.01, ha="left", fontweight="bold", fontsize=TEXT)
        return
    font = {"weight": "bold", "size": TEXT}
    where = {"loc": "outside upper left", "ncols": min(columns, len(handles)), "alignment": "left"}
    drawn.legend(
        handles, labels, title=wrapped, title_fontproperties=font, columnspacing=1.2, borderpad=0, **where
    )


def least_width_px(drawn: Figure) -> int:
    """Width in CSS pixels from which the smallest text of a saved figure is LEGIBLE_PX high."""
    texts = [text for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()]
    smallest = min((text.get_fontsize() for text in texts), default=TEXT)
    return round(drawn.get_figwidth() * 72 * _LEGIBLE_PX / smallest)


def show(drawn: Figure, table: pd.DataFrame, path: Path, width: int = 760) -> IPythonImage:
    """Saves a figure and its table, and gives the image for a notebook, described by the figure's title."""
    data = small(save(drawn, table, path), width)
    return IPythonImage(data=data, width=width, alt=drawn.get_label() or path.stem)


def save(drawn: Figure, table: pd.DataFrame, path: Path) -> Path:
    """`path` (.png, at most 200 kB) and the .csv of the same name, each whole or not at all."""
    with replacing(path.with_suffix(".csv")) as partial:
        table.to_csv(partial, index=False, float_format="%.6g")
    with replacing(path) as partial:
        partial.write_bytes(_png(drawn))
    return path


def _png(drawn: Figure) -> bytes:
    """Full colour where that is small enough, else a palette, else fewer pixels."""
    for dpi, colours in ((130, None), (130, 256), (100, 256), (75, 128), (50, 64)):
        buffer = BytesIO()
        drawn.savefig(buffer, format="png", dpi=dpi, facecolor="white")
        if colours:
            image = Image.open(buffer).convert("RGB").quantize(colours)
            buffer = BytesIO()
            image.save(buffer, "png", optimize=True)
        if len(buffer.getvalue()) <= LARGEST_PNG:
            break
    return buffer.getvalue()


def small(path: Path, width: int = 520, colours: int = 64) -> bytes:
    """A saved figure as a PNG that is light enough for a notebook to keep."""
    image = Image.open(path).convert("RGB")
    share = min(1.0, width / image.width)
    size = (round(image.width * share), round(image.height * share))
    buffer = BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).quantize(colours, Image.Quantize.MAXCOVERAGE).save(
        buffer, "png", optimize=True
    )
    return buffer.getvalue()


def style_of(methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Colour and marker by method, the same in every figure: a hue per backbone, paler where it is refined.

    ", seed 1" after a name changes nothing. Methods that LOOKS does not have take from SPARE.
    """
    spare = iter(_SPARE * len(methods))
    looks: dict[str, tuple[str, str]] = {}
    for method in methods:
        name = method.partition(", seed")[0]
        known = (
            _LOOKS.get(name) or _LOOKS.get(name.partition(" + ")[0] + " +")
            if name not in looks
            else looks[name]
        )
        looks[name] = known if known and (name in looks or known not in looks.values()) else next(spare)
    named = {method: looks[method.partition(", seed")[0]] for method in methods}
    return {method: {"color": colour, "marker": marker} for method, (colour, marker) in named.items()}
