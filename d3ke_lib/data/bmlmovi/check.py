"""What of the downloads is there and whole, what can be done with it, and what it will cost."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np

from d3ke_lib.body.spec import D3KE
from d3ke_lib.data.bmlmovi.cameras import compare
from d3ke_lib.data.bmlmovi.config import NO_FIT, NO_VIDEO, BmlmoviConfig
from d3ke_lib.data.bmlmovi.folder_tree import SEXES, BmlmoviError, Tree, find
from d3ke_lib.data.bmlmovi.labels import pair
from d3ke_lib.data.bmlmovi.read import VIDEO_HZ, Ranges, fit_frames, read_fit, read_ranges
from d3ke_lib.data.bmlmovi.subject import chosen_model, model_of
from d3ke_lib.data.bmlmovi.video import pictures

T = TypeVar("T")
# For the estimates, measured on embedded pictures with one core; real ones may need half as much more.
BYTES_A_PIXEL = 22_000 / 360**2  # of a stored crop
LABEL_BYTES = 3_000  # of a frame's labels, once a subject
CROP_SECONDS = 0.036  # of a processor, a frame: decode, resample, compress
LABEL_SECONDS = 0.013  # inverse kinematics
WORKER_GB = 1.2
NO_FILE = "no file of this subject"


def check_data(raw: Path, config: BmlmoviConfig | None = None, deep: bool = False) -> dict[str, Any]:
    """A report as JSON values; `text` prints it.

    Looks at every file's structure, ranges and sizes; `deep`: decodes every video and reads every fit, too.
    Raises BmlmoviError only where `raw` is no folder: what is wrong inside is in the report.
    """
    config, tree = config or BmlmoviConfig(), find(raw)
    models = {sex: _said(lambda sex=sex: _model(tree, sex)) for sex in SEXES}
    subjects = {subject: check_subject(tree, config, subject, deep) for subject in config.files}
    usable = {s: found["usable"] for s, found in subjects.items() if found["usable"]}
    report = {
        "raw": str(raw),
        "models": {sex: found if isinstance(found, str) else "ok" for sex, found in models.items()},
        "cameras": [_said(lambda c=c: compare(tree, c)) for c in config.cameras],
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
    return report | {"estimate": estimate(config, subjects)}


def _said(check: Callable[[], T]) -> T | str:
    """A check's result, or what it says is wrong."""
    try:
        return check()
    except (ValueError, OSError) as error:
        return str(error)


def _model(tree: Tree, sex: str) -> None:
    if sex not in tree.models:
        raise BmlmoviError(f"{tree.raw}: expected {sex}/model.npz of SMPL-H, found none")
    model_of(tree.models[sex].resolve())


# -- one subject ----------------------------------------------------------------------


def check_subject(tree: Tree, config: BmlmoviConfig, subject: int, deep: bool) -> dict[str, Any]:
    """What is there of a subject: motions, fits, labelled frames, usable cameras, problems."""
    split = next(name for name, members in config.splits.items() if subject in members)
    found: dict[str, Any] = {"split": split, "motions": 0, "fits": len(tree.fits.get(subject, {}))}
    found |= {"frames": 0, "problems": [], "notes": [], "cameras": {}, "usable": []}
    if subject not in tree.subjects:
        return found | {"problems": [NO_FILE]}
    ranges = _said(lambda: _ranges(tree, subject))
    frames = _said(lambda: _fits(tree, subject, deep))
    found["problems"] = [said for said in (ranges, frames) if isinstance(said, str)]
    last = 0
    if isinstance(ranges, Ranges) and isinstance(frames, dict):
        sex = _said(lambda: chosen_model(tree, ranges, read_fit(tree.fits[subject][min(frames)])) and None)
        found["problems"] += [sex] if sex else []
        labelled, found["notes"] = _labelled(ranges, frames)
        found |= {"motions": len(ranges.frames), "frames": len(labelled)}
        last = int(labelled.max(initial=-1)) + 1
    for camera in config.files[subject]:
        state = _said(lambda camera=camera: _video(tree, subject, camera, last, deep))
        found["cameras"][camera] = state
        found["problems"] += [] if isinstance(state, int) else [state]
        if isinstance(state, int) and found["frames"] and not any(map(_by_subject(found), found["problems"])):
            found["usable"].append(camera)
    return found


def _by_subject(found: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a problem is the subject's rather than one camera's."""
    return lambda problem: problem not in found["cameras"].values()


def _ranges(tree: Tree, subject: int) -> Ranges:
    if subject not in tree.ranges:
        raise BmlmoviError(f"{tree.raw}: expected F_v3d_Subject_{subject}.mat, found none")
    return read_ranges(tree.ranges[subject], subject)


def _fits(tree: Tree, subject: int, deep: bool) -> dict[int, int]:
    """Motion → frames of its fit."""
    if not tree.fits.get(subject):
        raise BmlmoviError(f"{tree.raw}: expected Subject_{subject}_F_1_poses.npz and others, found none")
    return {
        number: len(read_fit(path).poses) if deep else fit_frames(path)
        for number, path in sorted(tree.fits[subject].items())
    }


def _labelled(ranges: Ranges, frames: dict[int, int]) -> tuple[np.ndarray, list[str]]:
    """The video's frames that have a label, and what has none."""
    count = len(ranges.frames)
    used = {k: pair(k, ranges.frames[k - 1], frames[k]) for k in frames if k <= count}
    notes = [f"motion {k}: no fit" for k in range(1, count + 1) if k not in frames]
    notes += [f"motion {k}: flags30 has only {count}" for k in frames if k > count]
    for k, motion in used.items():
        short = int(np.diff(ranges.frames[k - 1])[0]) - len(motion.video)
        notes += [f"motion {k}: the fit ends {short} video frames early"] if short else []
    return np.concatenate([np.array([], int), *(motion.video for motion in used.values())]), notes


def _video(tree: Tree, subject: int, camera: str, last: int, deep: bool) -> int:
    """How many frames the file says it has. Raises BmlmoviError."""
    if (subject, camera) not in tree.videos:
        raise BmlmoviError(f"{tree.raw}: expected F_{camera}_Subject_{subject}_L.avi, found none")
    path, size = tree.videos[subject, camera], D3KE.cameras[camera].size
    check_chunks(path)
    frames = _declared(path, size)
    if frames < last:
        raise BmlmoviError(f"{path}: expected {last} frames or more (flags30), found {frames}")
    if deep and last:
        for _ in pictures(path, [last - 1], size):
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


def check_chunks(path: Path) -> None:
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


def estimate(config: BmlmoviConfig, subjects: dict[int, dict[str, Any]]) -> dict[str, float | int]:
    """Of the records: frames (pictures), disk and memory in GB, hours on this machine; all rough."""
    workers = len(os.sched_getaffinity(0))
    labels = sum(found["frames"] for found in subjects.values() if found["usable"])
    frames = sum(found["frames"] * len(found["usable"]) for found in subjects.values())
    bytes_ = frames * BYTES_A_PIXEL * config.px**2 + labels * LABEL_BYTES
    hours = (frames * CROP_SECONDS + labels * LABEL_SECONDS) / 3600 / workers
    return {
        "frames": frames,
        "disk_gb": round(bytes_ / 1e9, 3),
        "memory_gb": round(workers * WORKER_GB, 1),
        "workers": workers,
        "hours": round(hours, 2),
    }


def free_gb(folder: Path) -> float:
    """What is free where `folder` is, or will be."""
    there = next(part for part in (folder, *folder.absolute().parents) if part.exists())
    return shutil.disk_usage(there).free / 1e9


# -- in words ----------------------------------------------------------------------


def text(report: dict[str, Any], out: Path) -> str:
    """Lines for people: first what is wrong, then subject by subject, at the end what can be done."""
    lines = [f"models     {sex}: {found}" for sex, found in report["models"].items()]
    lines += [f"cameras    {line}" for line in report["cameras"]]
    absent = {s: found for s, found in report["subjects"].items() if found["problems"] == [NO_FILE]}
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
    free = f"{free_gb(out):.0f} GB are free in {out}"
    return [
        f"usable     {counts} subjects; {files['usable']} of {files['of']} files; {read}",
        f"           (never published whole: subjects {', '.join(map(str, unpublished))}; 6 has PG2 alone)",
        f"cost       {cost['frames']} pictures, about {cost['disk_gb']:.1f} GB of records ({free}), "
        f"{cost['hours']:.1f} h and {cost['memory_gb']:.0f} GB of memory with {cost['workers']} processes",
        _can_be_done(usable, files),
    ]


def _can_be_done(usable: dict[str, dict[str, int]], files: dict[str, int]) -> str:
    if files["usable"] == files["of"]:
        return "can do     everything: make reproduce P=bmlmovi RAW=…"
    lacking = [split for split, found in usable.items() if found["of"] and not found["subjects"]]
    if lacking:
        return f"can do     nothing yet: there is nobody of {', '.join(lacking)}"
    return "can do     with PARTIAL=1 the experiment on what is usable; its numbers are not the paper's"


def is_complete(report: dict[str, Any]) -> bool:
    return report["files"]["usable"] == report["files"]["of"]
