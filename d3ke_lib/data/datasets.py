"""Frames, motions and windows of a folder of records, in orders that a seed decides and a resume repeats."""

import dataclasses
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.data import records
from d3ke_lib.data.batch import Batch, apply
from d3ke_lib.data.camera import Camera
from d3ke_lib.data.records import Record, RecordError
from d3ke_lib.data.schema import Named, names_of
from d3ke_lib.data.seeds import seed_generator


class FrameSet:
    """The frames of one split (None: of all) in the order of files, motions and time; hashes are checked.

    every: keep each motion's first frame and every n-th after it. moved: of those, keep only frames in
    which some marker is more than so many metres from where it was in the last frame kept (D3KE trains
    with every=2, moved=0.02). subjects: only these. skeleton: its names must be those of the labels.
    cache_bytes: decoded crops are kept in memory, the first ones of the set, up to this many bytes.

    Attributes: `manifest`; `px`, `margin` of the stored crops; `names`; `cameras`, `actions`: what
    Batch.view and Batch.action count in.
    Raises RecordError: damaged files, unknown split or subject, files that do not belong together.
    """

    def __init__(
        self,
        folder: Path,
        split: str | None,
        skeleton: Named | None = None,
        *,
        every: int = 1,
        moved: float = 0.0,
        subjects: Collection[int] | None = None,
        cache_bytes: int = 0,
    ) -> None:
        names = _choose_files(folder, split, subjects)
        self.manifest = records.verify(folder, names)
        self._files = [records.read(folder / name) for name in names]
        first = self._files[0].metadata
        self.px, self.margin, self.names = first.px, first.margin, dict(first.names)
        for record in self._files:
            _check_same_set(record, first.px, first.margin, names_of(skeleton) if skeleton else self.names)
        self.cameras = tuple(sorted({record.metadata.camera for record in self._files}))
        self.actions = tuple(sorted({a for record in self._files for a in record.column("action")}))
        labels = self._read_labels()
        kept = _keep_frames(labels, every, moved)
        self._labels = dataclasses.replace(labels[kept], index=torch.arange(len(kept)))
        sizes = [len(record) for record in self._files]
        self._file = np.repeat(np.arange(len(sizes)), sizes)[kept]
        self._row = np.concatenate([np.arange(size) for size in sizes])[kept]
        room = min(len(kept), cache_bytes // (3 * self.px**2))
        self._cache = torch.empty(room, 3, self.px, self.px, dtype=torch.uint8)
        self._cached = np.zeros(room, dtype=bool)

    def __len__(self) -> int:
        return len(self._row)

    def labels(self) -> Batch:
        """All frames' labels, without images."""
        return self._labels

    def load(self, indices: Int[Tensor, " frame"] | Sequence[int]) -> Batch:
        """Frames with their images. Safe to call from several threads at once. Raises IndexError."""
        indices = torch.as_tensor(indices)
        if ((indices < 0) | (indices >= len(self))).any():
            raise IndexError(f"frames: expected 0 to {len(self) - 1}, found {indices.tolist()}")
        images = torch.stack([self._image(index) for index in indices.tolist()])
        return dataclasses.replace(self._labels[indices], image=images)

    def _image(self, index: int) -> UInt8[Tensor, "3 px px"]:
        if index < len(self._cached) and self._cached[index]:
            return self._cache[index]
        record, row = self._files[self._file[index]], int(self._row[index])
        image = records.decode(record.jpeg(row))
        if image.shape != (3, self.px, self.px):
            raise RecordError(
                f"{record.path}: image {row}: expected {self.px} px, found {tuple(image.shape)}"
            )
        if index < len(self._cached):
            # Two threads may both come here; they write the same image.
            self._cache[index] = image
            self._cached[index] = True
        return image

    def _read_labels(self) -> Batch:
        def column(name: str) -> Tensor:
            return torch.from_numpy(np.concatenate([record.column(name) for record in self._files]))

        def count(values: Iterable[str], known: tuple[str, ...]) -> Tensor:
            return torch.tensor([known.index(value) for value in values])

        focal, frames = column("focal"), sum(map(len, self._files))
        views = [record.metadata.camera for record in self._files for _ in range(len(record))]
        return Batch(
            image=None,
            camera=Camera(
                R=torch.eye(3).repeat(frames, 1, 1),
                t=torch.zeros(frames, 3),
                focal=focal,
                center=column("center"),
                distortion=torch.zeros(frames, 2),
            ),
            pose=Pose(column("angles"), column("scales"), column("R_camera_root")),
            points=Points(column("joints"), column("markers")),
            valid=Validity(column("valid_angles"), column("valid_joints"), column("valid_markers")),
            R_camera_world=column("R_camera_world"),
            t_camera_world=column("t_camera_world"),
            margin=torch.full((frames,), self.margin),
            index=torch.arange(frames),
            subject=column("subject"),
            view=count(views, self.cameras),
            action=count((a for record in self._files for a in record.column("action")), self.actions),
            frame=column("frame"),
            time=column("time"),
        )


def _choose_files(folder: Path, split: str | None, subjects: Collection[int] | None) -> list[str]:
    """Names of the split's files, in order of name, i.e. of subject and camera."""
    files = records.load_manifest(folder)["files"]
    known = sorted({file["split"] for file in files.values()} - {None})
    if split is not None and split not in known:
        raise RecordError(f"{folder}: split: expected one of {known}, found {split!r}")
    chosen = {name: file for name, file in sorted(files.items()) if split in (None, file["split"])}
    missing = set(subjects or ()) - {file["subject"] for file in chosen.values()}
    if missing:
        raise RecordError(
            f"{folder}: subjects {sorted(missing)}: expected files in split {split!r}, found none"
        )
    return [name for name, file in chosen.items() if subjects is None or file["subject"] in subjects]


def _check_same_set(record: Record, px: int, margin: float, names: dict[str, list[str]]) -> None:
    expected = {"px": px, "margin": margin, **names}
    found = {"px": record.metadata.px, "margin": record.metadata.margin, **record.metadata.names}
    for key, value in expected.items():
        if value != found[key]:
            raise RecordError(f"{record.path}: {key}: expected {value}, found {found[key]}")


def sequences(labels: Batch) -> list[tuple[int, int]]:
    """(start, stop) of every motion: one subject, view and action, time increasing."""
    same = [labels.subject.diff() == 0, labels.view.diff() == 0, labels.action.diff() == 0]
    begins = 1 + (~torch.stack([*same, labels.time.diff() > 0]).all(0)).nonzero()[:, 0]
    edges = [0, *begins.tolist(), len(labels.time)]
    return list(itertools.pairwise(edges))


def _keep_frames(labels: Batch, every: int, moved: float) -> Int[np.ndarray, " frame"]:
    """Rows of `FrameSet`'s every and moved."""
    chosen = [np.arange(start, stop)[::every] for start, stop in sequences(labels)]
    if moved > 0:
        local = (labels.points.markers - labels.t_camera_world[:, None]).double()
        world = (local @ labels.R_camera_world.double()).numpy()
        chosen = [rows[_select_moving(world[rows], moved)] for rows in chosen]
    return np.concatenate(chosen)


def _select_moving(markers: Float[np.ndarray, "time marker 3"], distance: float) -> list[int]:
    """The first frame, then each in which some marker is farther than `distance` from the last one taken."""
    taken = [0]
    for i in range(1, len(markers)):
        if np.linalg.norm(markers[i] - markers[taken[-1]], axis=-1).max() > distance:
            taken.append(i)
    return taken


# --- order ------------------------------------------------------------------------------------------------


def epoch_order(n: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
    """The permutation of one epoch, the same whatever ran before it."""
    return torch.randperm(n, generator=seed_generator(seed, epoch))


def stream(
    frames: FrameSet, order: Iterable[Int[Tensor, " _"]], workers: int = 2, ahead: int = 4
) -> Iterator[Batch]:
    """`frames.load` of each piece of `order`, in order, up to `ahead` pieces decoded beforehand by threads.

    Decoding leaves the interpreter free, so threads suffice: nothing is copied between processes and an
    error in a worker is raised here.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for indices in order:
                waiting.append(pool.submit(frames.load, indices))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


# --- windows ------------------------------------------------------------------------------------------------


def window_offsets(window: int, causal: bool = False) -> Int[Tensor, " window"]:
    """Frames of a window relative to its target: the middle one, or the last if causal."""
    if window < 1 or (window % 2 == 0 and not causal):
        raise ValueError(f"window: expected an odd number of frames (or causal), found {window}")
    return torch.arange(window) - (window - 1 if causal else window // 2)


class TemporalSet:
    """Windows of stored frame predictions, and the labels they should become.

    pose, points: a frame network's output for every frame of `labels` (`FrameSet.labels()`), in order; its
    pose may be None.
    Every frame's rotation and positions, predicted or true, are in the frame of its own crop's camera.
    D3KE: the same; that camera rotates to follow the body, so a rotation that is constant in the
    world is not quite constant in a window.
    """

    def __init__(
        self, pose: Pose | None, points: Points, labels: Batch, window: int = 243, causal: bool = False
    ) -> None:
        if len(points.joints) != len(labels.time):
            raise ValueError(f"predictions: expected {len(labels.time)} frames, found {len(points.joints)}")
        root = points.joints[:, :1]
        self._pose, self._points = pose, Points(points.joints - root, points.markers - root)
        self._labels = labels
        self._offsets = window_offsets(window, causal)
        bounds = torch.tensor(sequences(labels))
        lengths = bounds[:, 1] - bounds[:, 0]
        self._first, self._last = (bounds - torch.tensor([0, 1])).repeat_interleave(lengths, 0).T

    def __len__(self) -> int:
        return len(self._first)

    def load(self, indices: Int[Tensor, " frame"], whole: bool = False) -> tuple[Pose | None, Points, Batch]:
        """Predicted windows (frame, window, ...) relative to each frame's pelvis joint, and labels.

        Labels are the target frame's, (frame, ...), or with `whole` the window's, (frame, window, ...).
        """
        rows = (indices[:, None] + self._offsets).clamp(
            self._first[indices][:, None], self._last[indices][:, None]
        )
        pose, points = (apply(lambda tensor: tensor[rows], part) for part in (self._pose, self._points))
        return pose, points, self._labels[rows if whole else indices]
