"""Derive anew what follows from a recorded run's errors:  python scripts/record_references.py

Takes data/results/demo.json's errors by run and subject, adds the reference rows, computes all intervals and
comparisons from them, and draws those of the README's figures that need no image. The references need labels
only: the recorded configuration's motions are generated without rendering. Refuses labels whose mean pose
has another error than the recorded one.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _cli
import torch
from torch import Tensor
from tqdm import tqdm

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.camera import Camera, calibrated, crop_camera
from d3ke_lib.data.synthetic import generate, motion, scene
from d3ke_lib.experiment.evaluation import evaluate, references
from d3ke_lib.experiment.report import drawing, figures
from d3ke_lib.experiment.report.figure_data import FigureData
from d3ke_lib.experiment.report.method_names import methods_of
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.run.codec import from_values

TOLERANCE_DEG = 0.01  # labels differ in last bits between processors
REDRAWN, CAPTIONS = ("paired",), "captions.json"
SAME = ("R_camera_world", "t_camera_world", "subject", "view", "action", "frame", "time")


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.parse_args()
    path, folder = (artifacts.REPOSITORY / name for name in ("data/results/demo.json", "figures"))
    results = derive(artifacts.read_json(path))
    artifacts.write_json(path, results)
    draw(results, folder)


def derive(recorded: dict[str, Any]) -> dict[str, Any]:
    """The recorded results with reference rows, intervals and comparisons from this checkout's code."""
    config, skeleton = from_values(generate.DataConfig, recorded["profile"]["data"]), default_skeleton()
    train, test = (generate_labels(config, config.splits[split]) for split in ("train", "test"))
    predicted = references.predict_references(train, config.actions, test, config.actions)
    methods = {
        name: evaluate.describe_method(evaluate.Method(name), prediction, test, skeleton)
        for name, prediction in predicted.items()
    }
    check(recorded["methods"][references.MEAN_POSE], methods[references.MEAN_POSE])
    trained = {name: recorded["methods"][name] for name in methods_of(recorded) if name not in methods}
    about = {"git": artifacts.git_revision(), "machine": devices.describe()}
    derived = {"methods": methods | trained, **evaluate.summarise(methods | trained)}
    return recorded | evaluate.rounded(derived | {"schema": evaluate.SCHEMA, "references_from": about})


def draw(results: dict[str, Any], folder: Path) -> None:
    """The figures that results alone decide, and their captions."""
    shown, captions = (
        FigureData(folder, results, None, None, None, {}),
        artifacts.read_json(folder / CAPTIONS),
    )
    for name in REDRAWN:
        drawing.save(*figures.FIGURES[name](shown), folder / f"{name}.png")
        captions[name] = figures.caption(name, results)
    artifacts.write_json(folder / CAPTIONS, captions)


def check(recorded: dict[str, Any], found: dict[str, Any]) -> None:
    """Raises D3keError where the mean pose's error is not the recorded one."""
    was, now = (method["summary"]["angle_mae_deg"]["mean"] for method in (recorded, found))
    print(f"mean pose: {now:.4f}° from these labels, {was:.4f}° recorded")
    if abs(now - was) > TOLERANCE_DEG:
        raise artifacts.D3keError(
            f"mean pose: expected {was:.4f}° within {TOLERANCE_DEG}°, found {now:.4f}°: other labels"
        )


def generate_labels(config: generate.DataConfig, subjects: list[int]) -> Batch:
    """All labels of the subjects' records, without their images."""
    columns = [each for subject in tqdm(subjects, desc="labels") for each in subject_labels(config, subject)]
    found = {key: torch.cat([each[key] for each in columns]) for key in columns[0]}
    count = len(found["time"])
    camera = Camera(
        torch.eye(3).expand(count, 3, 3),
        torch.zeros(count, 3),
        found["focal"],
        found["center"],
        torch.zeros(count, 2),
    )
    pose = Pose(found["angles"], found["scales"], found["R_camera_root"])
    valid = Validity(found["valid_angles"], found["valid_joints"], found["valid_markers"])
    points = Points(found["joints"], found["markers"])
    margin, index = torch.full((count,), config.margin), torch.arange(count)
    same = {key: found[key] for key in SAME}
    return Batch(
        None, camera=camera, pose=pose, points=points, valid=valid, margin=margin, index=index, **same
    )


def subject_labels(config: generate.DataConfig, subject: int) -> Iterator[dict[str, Tensor]]:
    """Columns of every action before every camera, as `generate` draws them."""
    skeleton, surface = generate.load_body()
    person = scene.draw_subject(skeleton, surface, config.seed, subject)
    t = torch.arange(config.frames, dtype=torch.float64) / config.fps
    for number, action in enumerate(config.actions):
        stream = (config.seed, subject, motion.ACTIONS.index(action), scene.TAKE)
        take = scene.perform(skeleton, person, action, t, stream)
        for view, name in enumerate(config.cameras):
            full = calibrated(name, torch.float64)
            box = scene.bound_subject(full, take.cones)
            crop = crop_camera(full, box, config.px, zoom=1 / config.margin)
            count = {"subject": subject, "view": view, "action": number}
            numbers = {key: torch.full((config.frames,), value) for key, value in count.items()}
            labels = {
                key: value if value.dtype == torch.bool else value.float()
                for key, value in scene.label_columns(take.pose, take.points, crop, box).items()
            }
            yield labels | numbers | {"time": t.float(), "frame": torch.arange(config.frames)}


if __name__ == "__main__":
    sys.exit(main())
