"""What a prediction is asked for, checked in a moment: no torch, no whole video is decoded."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from d3ke_lib import settings
from d3ke_lib.data import video as videos
from d3ke_lib.files import D3keError

_METHODS = ("lifted", "landmarks", "d3ke")
# A camera (x right, y down, z forward) that stands upright and level, seen from OpenSim's ground (x forward,
# y up, z right): who faces the camera looks along ground x, and has pelvis rotation 0.
R_GROUND_CAMERA = ((0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
FOCAL = 1.2  # assumed focal length in longer sides of the image: about 45° wide, a phone's main camera
OUTPUTS = (
    "angles.csv",
    "angles.mot",
    "boxes.png",
    "index.html",
    "markers.trc",
    "overlay.mp4",
    "person.osim",
)
_DEFAULT_REFINER = "transformer"
_FINISHED = "run.json"  # run_folder.RESULT, which imports torch


class Request(NamedTuple):
    """A video, how it is looked at, and the folder that the results replace.

    Runs: of the method d3ke, a run's folder or an exported file.
    """

    video: Path
    frame_run: Path | None
    temporal_run: Path | None
    folder: Path
    box: Float[np.ndarray, " 4"] | None = None  # (x0, y0, x1, y1) in px; None: who moves
    person: int = 1  # d3ke: among those who move, who moves most first; else who is seen longest
    focal: float | None = None  # px; None: FOCAL × the longer side
    method: str = _METHODS[0]


def check_request(
    video: Path,
    profile: str = "demo",
    backbone: str = "resnext50_32x4d",
    refiner: str | None = None,
    seed: int = 0,
    box: str | None = None,
    person: int = 1,
    focal: float | None = None,
    folder: Path | None = None,
    weights: Path | None = None,
    refiner_weights: Path | None = None,
    method: str | None = None,
) -> Request:
    """Raises VideoError or D3keError for whatever can be wrong before a network is loaded.

    `box` "x,y,w,h" in px; `refiner` None: the transformer where it is trained; `folder`
    None: one named by the video. Profile, backbone, refiner and seed say whose networks d3ke takes, or
    `weights`, `refiner_weights`: files of `make export-weights`. `method` None: d3ke with weights, or the
    first of METHODS.
    """
    method = _check_method(method, weights or refiner_weights)
    size = videos.read_size(video)
    boxed = None if box is None else videos.parse_box(box, size)
    if person < 1:
        raise D3keError(f"PERSON: expected 1 for who is seen most, 2 for the next …, found {person}")
    if focal is not None and not 0.1 < focal / max(size) < 20:
        raise D3keError(
            f"FOCAL: expected px, near {FOCAL * max(size):.0f} for {size[0]}×{size[1]}, found {focal:g}"
        )
    out = settings.read().out
    home = out / profile if method == "d3ke" else out
    runs = (None, None)
    if weights is not None or refiner_weights is not None:
        runs = _check_weights(weights), refiner_weights and _check_weights(refiner_weights)
    elif method == "d3ke":
        runs = _find_runs(home, backbone, refiner, seed)
    folder = Path(folder) if folder else _folder_for(video, home, method)
    _check_folder(folder)
    return Request(Path(video), *runs, folder, boxed, person, focal, method)


def _find_runs(home: Path, backbone: str, refiner: str | None, seed: int) -> tuple[Path, Path | None]:
    """The finished frame run and, where there is one, the temporal run on top of it, in a profile's folder.

    Raises D3keError naming the run that is missing, those there are, and how to make one.
    """
    if not home.is_dir():
        profiles = {found.parents[2].name for found in home.parent.glob(f"*/frame/*/{_FINISHED}")}
        raise D3keError(
            f"{home}: no such profile; make it with: make reproduce P=… (found {_listed(profiles)})"
        )
    frame_run = _finished_run(home / "frame" / f"{backbone}.{seed}", home.name)
    name = f"{refiner or _DEFAULT_REFINER}.{backbone}.{seed}"
    if refiner is None and not (home / "temporal" / name / _FINISHED).is_file():
        return frame_run, None
    return frame_run, _finished_run(home / "temporal" / name, home.name)


def _check_method(method: str | None, weights: Path | None) -> str:
    method = method or ("d3ke" if weights else _METHODS[0])
    if method not in _METHODS:
        raise D3keError(f"METHOD: expected one of {', '.join(_METHODS)}, found {method!r}")
    if weights and method != "d3ke":
        raise D3keError(f"WEIGHTS: expected METHOD=d3ke, whose networks they are, found METHOD={method}")
    return method


def _check_weights(path: Path | None) -> Path:
    if path is None or path.suffix != ".safetensors" or not path.is_file():
        raise D3keError(f"WEIGHTS: expected a .safetensors file of `make export-weights`, found {path}")
    return path


def _folder_for(video: Path, home: Path, method: str) -> Path:
    """`predict/<name>-<hash of its path>`, so that videos of one name in two folders keep apart."""
    path = Path(video).resolve()
    name = f"{path.stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"
    return home / "predict" / (name if method == "d3ke" else f"{name}.{method}")


def _finished_run(run: Path, profile: str) -> Path:
    if not (run / _FINISHED).is_file():
        found = {finished.parent.name for finished in run.parent.glob(f"*/{_FINISHED}")}
        raise D3keError(
            f"{run}: no finished run; make it with: make reproduce P={profile} (found {_listed(found)})"
        )
    return run


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _check_folder(folder: Path) -> None:
    """The folder is replaced as a whole, so it must not hold anything but an earlier prediction."""
    if folder.exists() and not folder.is_dir():
        raise D3keError(f"OUT: expected a folder, found the file {folder}")
    others = {path.name for path in folder.glob("*")} - set(OUTPUTS)
    if others:
        raise D3keError(
            f"OUT: expected a new folder or an earlier prediction, found {min(others)} in {folder}"
        )
    above = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise D3keError(f"OUT: expected a folder that can be written to, found {above}")
