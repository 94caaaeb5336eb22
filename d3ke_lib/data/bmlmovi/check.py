"""Which downloads are present and complete, what can be made from them, and at what cost."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np

from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.bmlmovi.cameras import compare_calibration
from d3ke_lib.data.bmlmovi.config import NO_FIT, NO_VIDEO, BmlmoviConfig
from d3ke_lib.data.bmlmovi.folder_tree import SEXES, BmlmoviError, Downloads, find_downloads
from d3ke_lib.data.bmlmovi.labels import pair_frames
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ, Ranges, fit_frames, read_fit, read_ranges
from d3ke_lib.data.bmlmovi.subject import choose_model, load_model
from d3ke_lib.data.bmlmovi.video import read_frames

_T = TypeVar("T")
# For the estimates, measured on synthetic images with one core; real ones may need half as much again.
_BYTES_PER_PIXEL = 22_000 / 360**2  # of a stored crop
_LABEL_BYTES = 3_000  # of a frame's labels, once a subject
_CROP_SECONDS = 0.036  # of a processor, a frame: decode, resample, compress
_LABEL_SECONDS = 0.013  # inverse kinematics
_WORKER_GB = 1.2
_NO_FILE = "no file of this subject"


def check_data(raw: Path, config: BmlmoviConfig | None = None, deep: bool = False) -> dict[str, Any]:
    """A report as JSON values; `format_report` prints it.

    Checks every file's structure, ranges and sizes; `deep`: also decodes every video and reads every fit.
    Raises BmlmoviError only where `raw` is not a folder: problems inside it are in the report.
    """
    config, tree = config or BmlmoviConfig(), find_downloads(raw)
    models = {sex: _result_or_error(lambda sex=sex: _check_model(tree, sex)) for sex in SEXES}
    subjects = {subject: _check_subject(tree, config, subject, deep) for subject in config.files}
    usable = {s: found["usable"] for s, found in subjects.items() if found["usable"]}
    report = {
        "raw": str(raw),
        "models": {sex: found if isinstance(found, str) else "ok" for sex, found in models.items()},
        "cameras": [_result_or_error(lambda c=c: compare_calibration(tree, c)) for c in config.cameras],
        "subjects": subjects,
        "usable": {
            split: {"subjects": sum(s in usable for s in known), "of": len(known)}
            for split, known in config.splits.items()
        },
        "files": {"usable": sum(map(len, usable.values())), "of": sum(map(len, config.files.values()))},
        "not_needed": {
            "subjects": [s for s in tree.subjects if s not in config.files],
            "archives": [str(path.relative_to(raw)) for path in tree.archives],
            "doubled": [str(path.relative_to(raw)) for path in tree.doubled],
            "unexpected": [str(path.relative_to(raw)) for path in tree.unexpected],
        },
        "deep": deep,
    }
    return report | {"estimate": _estimate_cost(config, subjects)}


def _result_or_error(check: Callable[[], _T]) -> _T | str:
    """A check's result, or its error's message."""
    try:
        return check()
    except (ValueError, OSError) as error:
        return str(error)


def _check_model(tree: Downloads, sex: str) -> None:
    if sex not in tree.models:
        raise BmlmoviError(f"{tree.raw}: expected {sex}/model.npz of SMPL-H, found none")
    load_model(tree.models[sex].resolve())


# -- one subject ----------------------------------------------------------------------


def _check_subject(tree: Downloads, config: BmlmoviConfig, subject: int, deep: bool) -> dict[str, Any]:
    """A subject's motions, fits, labelled frames, usable cameras and problems."""
    split = next(name for name, members in config.splits.items() if subject in members)
    found: dict[str, Any] = {"split": split, "motions": 0, "fits": len(tree.fits.get(subject, {}))}
    found |= {"frames": 0, "problems": [], "notes": [], "cameras": {}, "usable": []}
    if subject not in tree.subjects:
        return found | {"problems": [_NO_FILE]}
    ranges = _result_or_error(lambda: _read_subject_ranges(tree, subject))
    frames = _result_or_error(lambda: _count_fit_frames(tree, subject, deep))
    found["problems"] = [problem for problem in (ranges, frames) if isinstance(problem, str)]
    last = 0
    if isinstance(ranges, Ranges) and isinstance(frames, dict):
        sex = _result_or_error(
            lambda: choose_model(tree, ranges, read_fit(tree.fits[subject][min(frames)])) and None
        )
        found["problems"] += [sex] if sex else []
        labelled, found["notes"] = _match_frames(ranges, frames)
        found |= {"motions": len(ranges.frames), "frames": len(labelled)}
        last = int(labelled.max(initial=-1)) + 1
    for camera in config.files[subject]:
        state = _result_or_error(lambda camera=camera: _check_video(tree, subject, camera, last, deep))
        found["cameras"][camera] = state
        found["problems"] += [] if isinstance(state, int) else [state]
        if (
            isinstance(state, int)
            and found["frames"]
            and not any(map(_is_of_subject(found), found["problems"]))
        ):
            found["usable"].append(camera)
    return found


def _is_of_subject(found: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a problem is the subject's rather than one camera's."""
    return lambda problem: problem not in found["cameras"].values()


def _read_subject_ranges(tree: Downloads, subject: int) -> Ranges:
    if subject not in tree.ranges:
        raise BmlmoviError(f"{tree.raw}: expected F_v3d_Subject_{subject}.mat, found none")
    return read_ranges(tree.ranges[subject], subject)


def _count_fit_frames(tree: Downloads, subject: int, deep: bool) -> dict[int, int]:
    """Motion → frames of its fit."""
    if not tree.fits.get(subject):
        raise BmlmoviError(f"{tree.raw}: expected Subject_{subject}_F_1_poses.npz and others, found none")
    return {
        number: len(read_fit(path).poses) if deep else fit_frames(path)
        for number, path in sorted(tree.fits[subject].items())
    }


def _match_frames(ranges: Ranges, frames: dict[int, int]) -> tuple[np.ndarray, list[str]]:
    """The video's frames that have a label, and what has none."""
    count = len(ranges.frames)
    used = {k: pair_frames(k, ranges.frames[k - 1], frames[k]) for k in frames if k <= count}
    notes = [f"motion {k}: no fit" for k in range(1, count + 1) if k not in frames]
    notes += [f"motion {k}: flags30 has only {count}" for k in frames if k > count]
    for k, motion in used.items():
        short = int(np.diff(ranges.frames[k - 1])[0]) - len(motion.video)
        notes += [f"motion {k}: the fit ends {short} video frames early"] if short else []
    return np.concatenate([np.array([], int), *(motion.video for motion in used.values())]), notes


def _check_video(tree: Downloads, subject: int, camera: str, last: int, deep: bool) -> int:
    """The number of frames in the file's header. Raises BmlmoviError."""
    if (subject, camera) not in tree.videos:
        raise BmlmoviError(f"{tree.raw}: expected F_{camera}_Subject_{subject}_L.avi, found none")
    path, size = tree.videos[subject, camera], D3KE.cameras[camera].size
    _check_chunks(path)
    frames = _declared(path, size)
    if frames < last:
        raise BmlmoviError(f"{path}: expected {last} frames or more (flags30), found {frames}")
    if deep and last:
        for _ in read_frames(path, [last - 1], size):
            pass
    return frames


def _declared(path: Path, size: tuple[int, int]) -> int:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found, rate = (stream.width, stream.height), float(stream.average_rate or 0)
            frames = stream.frames
    except (av.FFmpegError, IndexError) as error:
        raise BmlmoviError(f"{path}: expected a video, found {path.stat().st_size} bytes ({error})") from None
    if found != tuple(size) or abs(rate - VIDEO_HZ) > 0.1:
        raise BmlmoviError(
            f"{path}: expected {size[0]}×{size[1]} px at {VIDEO_HZ:g} Hz, "
            f"found {found[0]}×{found[1]} at {rate:.2f} Hz"
        )
    return frames


def _check_chunks(path: Path) -> None:
    """An .avi is RIFF chunks that say their length: together they are the file. Raises BmlmoviError."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(8)
            if at == 0 and head[:4] != b"RIFF":
                raise BmlmoviError(
                    f"{path}: expected an .avi, found {size} bytes that begin with {head[:4]!r}"
                )
            if head[:4] != b"RIFF":
                return  # what some programs append
            at += 8 + int.from_bytes(head[4:], "little")
    if at > size + 1:
        raise BmlmoviError(f"{path}: expected {at} bytes, found {size}: cut short")


# -- what it will cost ----------------------------------------------------------------------


def _estimate_cost(config: BmlmoviConfig, subjects: dict[int, dict[str, Any]]) -> dict[str, float | int]:
    """Of the records, roughly: frames (images), disk and memory in GB, hours on this machine."""
    workers = len(os.sched_getaffinity(0))
    labels = sum(found["frames"] for found in subjects.values() if found["usable"])
    frames = sum(found["frames"] * len(found["usable"]) for found in subjects.values())
    bytes_ = frames * _BYTES_PER_PIXEL * config.px**2 + labels * _LABEL_BYTES
    hours = (frames * _CROP_SECONDS + labels * _LABEL_SECONDS) / 3600 / workers
    return {
        "frames": frames,
        "disk_gb": round(bytes_ / 1e9, 3),
        "memory_gb": round(workers * _WORKER_GB, 1),
        "workers": workers,
        "hours": round(hours, 2),
    }


def _free_gb(folder: Path) -> float:
    """What is free where `folder` is, or will be."""
    there = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    return shutil.disk_usage(there).free / 1e9


# -- as text ----------------------------------------------------------------------


def format_report(report: dict[str, Any], out: Path) -> str:
    """The report as text: models and cameras, each subject, at the end what can be made."""
    lines = [f"models     {sex}: {found}" for sex, found in report["models"].items()]
    lines += [f"cameras    {line}" for line in report["cameras"]]
    absent = {s: found for s, found in report["subjects"].items() if found["problems"] == [_NO_FILE]}
    present = {s: found for s, found in report["subjects"].items() if s not in absent}
    lines += [_line(subject, found) for subject, found in sorted(present.items())]
    for split in dict.fromkeys(found["split"] for found in absent.values()):
        members = sorted(subject for subject, found in absent.items() if found["split"] == split)
        lines.append(f"{split:<10} no file of {len(members)} subjects: {', '.join(map(str, members))}")
    for kind, found in report["not_needed"].items():
        lines += [f"{kind:<10} not read: {', '.join(map(str, found))}"] if found else []
    return "\n".join([*lines, *_verdict(report, out)])


def _line(subject: int, found: dict[str, Any]) -> str:
    cameras = " ".join(
        f"{camera} {state} frames" if isinstance(state, int) else f"{camera} –"
        for camera, state in found["cameras"].items()
    )
    head = f"{found['split']:<10} {subject:>2}: {found['fits']:>2} fits of {found['motions']:>2} motions, "
    problems = [f"\n{'':<14} ! {problem}" for problem in found["problems"]]
    notes = [f"\n{'':<14} · {note}" for note in found["notes"]]
    return head + f"{found['frames']:>6} labelled frames; {cameras}" + "".join(problems + notes)


def _verdict(report: dict[str, Any], out: Path) -> list[str]:
    usable, files, cost = report["usable"], report["files"], report["estimate"]
    counts = ", ".join(f"{found['subjects']} of {found['of']} {split}" for split, found in usable.items())
    unpublished = sorted({*NO_FIT, *(subject for subject, _ in NO_VIDEO)})
    read = "every video decoded" if report["deep"] else "videos not decoded (DEEP=1 does)"
    free = f"{_free_gb(out):.0f} GB are free in {out}"
    return [
        f"usable     {counts} subjects; {files['usable']} of {files['of']} files; {read}",
        f"           (never published whole: subjects {', '.join(map(str, unpublished))}; 6 has PG2 alone)",
        f"cost       {cost['frames']} images, about {cost['disk_gb']:.1f} GB of records ({free}), "
        f"{cost['hours']:.1f} h and {cost['memory_gb']:.0f} GB of memory with {cost['workers']} processes",
        _can_be_done(usable, files),
    ]


def _can_be_done(usable: dict[str, dict[str, int]], files: dict[str, int]) -> str:
    if files["usable"] == files["of"]:
        return "can do     everything: make reproduce P=bmlmovi RAW=…"
    lacking = [split for split, found in usable.items() if found["of"] and not found["subjects"]]
    if lacking:
        return f"can do     nothing yet: no subject of {', '.join(lacking)} is usable"
    return "can do     with PARTIAL=1 the experiment on what is usable; its numbers are not the paper's"


def is_complete(report: dict[str, Any]) -> bool:
    return report["files"]["usable"] == report["files"]["of"]
