"""The report's figures: what to show of results.json, the runs' logs, the records and stored predictions.

Every function gives a figure and its table from the figure data; `draw` saves them in figures/.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from d3ke_lib.body.pose import Pose
from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.experiment.report import drawing, image_grids, plots
from d3ke_lib.experiment.report.effects import ANGLE, backbone_pairs, degrees, effect_of, interval
from d3ke_lib.experiment.report.figure_data import FigureData, gather, yaw_table
from d3ke_lib.experiment.report.front import draw_front, draw_latency
from d3ke_lib.experiment.report.method_names import label, methods_of, setting_of, settings_of
from d3ke_lib.experiment.run import artifacts, run_folder
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.nets.metrics import GROUPS

Drawn = tuple[Figure, pd.DataFrame]
CURVES = (  # what gait papers show, from the hip down and from the trunk up
    *("hip_flexion_r", "hip_adduction_r", "hip_rotation_r", "knee_angle_r", "ankle_angle_r", "L5_S1_FE"),
    *("T1_head_neck_FE", "shoulder_elv", "elbow_flexion"),
)
KNEE = "knee_angle_r"
POINTS = 1200  # of a scatter plot
_QUANTILES = (0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98)
_CAPTIONS: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("captions.toml").read_text(encoding="utf-8")
)


def caption(name: str, results: dict[str, Any]) -> str:
    """What is said under a figure of these results."""
    added = _CAPTIONS["synthetic"].get(name) if results["synthetic"] else None
    return f"{_CAPTIONS[name]} {added}" if added else _CAPTIONS[name]


def identify(folder: Path) -> str:
    """The fingerprint of the figures: of the content of results.json and the code that draws them."""
    return fingerprint(artifacts.sha256(folder / "results.json"), code_hash(__name__))


def find_drawn(folder: Path) -> list[Path] | None:
    """The figures, where all of them are there and up to date."""
    listed = folder / "figures" / "captions.json"
    if not listed.is_file() or artifacts.read_json(listed)["fingerprint"] != identify(folder):
        return None
    captions = artifacts.read_json(listed)["captions"]
    paths = [listed.with_name(f"{name}.png") for name in FIGURES if name in captions]
    return paths if all(path.is_file() and path.with_suffix(".csv").is_file() for path in paths) else None


def draw(folder: Path) -> list[Path]:
    """All figures of a profile's folder, PNG and CSV, and captions.json; at once if they are up to date."""
    if paths := find_drawn(folder):
        return paths
    results, target = artifacts.read_json(folder / "results.json"), folder / "figures"
    shown = gather(folder, results)
    drawn = {name: made for name, figure in FIGURES.items() if (made := figure(shown))}
    paths = [drawing.save(*made, target / f"{name}.png") for name, made in drawn.items()]
    captions = {name: caption(name, results) for name in drawn}
    widths = {name: drawing.least_width_px(made[0]) for name, made in drawn.items()}
    said = {"fingerprint": identify(folder), "captions": captions, "least_width_px": widths}
    artifacts.write_json(target / "captions.json", said)
    return paths


# --- from results.json ------------------------------------------------------------------------------------


def groups(shown: FigureData) -> Drawn:
    settings = shown.results["settings"]
    table = pd.DataFrame(
        {"group": group, "method": label(setting), **_interval(settings[setting], f"{ANGLE}/{group}")}
        for group in GROUPS
        for setting in settings_of(shown.results)
    )
    return plots.group_bars(table, "°", shown.note, "Angle error by part of the body"), table


def _interval(setting: dict[str, Any], metric: str) -> dict[str, float]:
    return {key: setting["summary"][metric][key] for key in ("mean", "low", "high")}


def coordinates(shown: FigureData) -> Drawn:
    found = {name: method["coordinates"] for name, method in shown.results["methods"].items()}
    rows = [
        {
            "coordinate": coordinate,
            "method": label(setting_of(name)),
            "mean": found[name][coordinate]["mae_deg"],
        }
        for name in methods_of(shown.results)
        for coordinate in shown.skeleton.coordinates
    ]
    table = pd.DataFrame(rows).groupby(["coordinate", "method"], sort=False, as_index=False).mean()
    return plots.heatmap(table, "°", shown.note, "Angle error of each coordinate"), table


def subjects(shown: FigureData) -> Drawn:
    rows = [
        {"subject": subject, "method": label(setting_of(name)), "mean": value}
        for name in methods_of(shown.results)
        for subject, value in zip(shown.results["subjects"], _by_subject(shown, name))
    ]
    table = pd.DataFrame(rows).groupby(["subject", "method"], sort=False, as_index=False).mean()
    return plots.error_by_subject(table, "°", shown.note, "Angle error by test subject"), table


def _by_subject(shown: FigureData, method: str) -> list[float]:
    return shown.results["methods"][method]["subjects"][ANGLE]


def paired(shown: FigureData) -> Drawn | None:
    return _paired(shown, "frame/")


def paired_refined(shown: FigureData) -> Drawn | None:
    return _paired(shown, "temporal/")


def _paired(shown: FigureData, kind: str) -> Drawn | None:
    """The first comparison of two backbones of this kind; None where only one was trained."""
    results = shown.results
    pairs = backbone_pairs(results, kind.rstrip("/"))
    if not pairs:
        return None
    first, second = pairs[0]
    effect = effect_of(results, first, second)
    table = pd.concat(_differences(results, seed, first, second) for seed in results["profile"]["seeds"])
    title = f"{label(second)} − {label(first)}: {degrees(effect['mean'], True)} ({interval(effect)})"
    names = label(first), label(second)
    return plots.paired_difference(table, effect, names, "°", shown.note, title), table


def _differences(results: dict[str, Any], seed: int, first: str, second: str) -> pd.DataFrame:
    """Of one run of each: second − first by subject."""
    one, other = (
        np.array(results["methods"][f"{name}.{seed}"]["subjects"][ANGLE]) for name in (first, second)
    )
    return pd.DataFrame({"subject": results["subjects"], "seed": seed, "difference": other - one})


def front(shown: FigureData) -> Drawn:
    machine = shown.results["machine"]
    return draw_front(shown.results, f"{shown.note} · {machine['gpu'] or machine['processor']}")


def cost(shown: FigureData) -> Drawn:
    machine = shown.results["machine"]
    return draw_latency(shown.results, f"{shown.note} · {machine['gpu'] or machine['processor']}")


def yaw(shown: FigureData) -> Drawn | None:
    """Signed yaw errors of the pelvis by camera, of the frame networks and their first refinements."""
    table = yaw_table(shown.results)
    if table is None:
        return None
    return plots.yaw_histogram(table, shown.note, "Where the pelvis is predicted to face"), table


# --- from logs --------------------------------------------------------------------------------------------


def training(shown: FigureData) -> Drawn:
    return _training(shown, "frame/", "thousand images", "Training of the frame networks")


def training_temporal(shown: FigureData) -> Drawn | None:
    return _training(shown, "temporal/", "thousand windows", "Training of the temporal networks")


def _training(shown: FigureData, kind: str, x: str, title: str) -> Drawn | None:
    rows = []
    for name in methods_of(shown.results):
        if name.startswith(kind):
            batch = artifacts.read_json(shown.folder / name / run_folder.RESULT)["config"]["batch"]
            run = f"{label(setting_of(name))}, seed {name.rpartition('.')[2]}"
            for line in artifacts.read_log(shown.folder / name / run_folder.LOG):
                found = {"loss": line.get("total"), "angle": line.get("validation", {}).get(ANGLE)}
                at = {"run": run, x: line["step"] * batch / 1e3}
                rows += [
                    at | {"quantity": key, "value": value}
                    for key, value in found.items()
                    if value is not None
                ]
    if not rows:
        return None
    panels = {"loss": "training loss (weighted sum)", "angle": "validation angle MAE [°]"}
    table = pd.DataFrame(rows)
    return plots.training_curves(table, panels, x, shown.note, title), table


# --- from records and predictions -------------------------------------------------------------------------


def data(shown: FigureData) -> Drawn:
    """One frame of each action; subjects and cameras alternate."""
    train = FrameSet(shown.folder / "data", "train", shown.skeleton)
    labels, subjects = train.labels(), train.labels().subject.unique()
    chosen = []
    for number in range(len(train.actions)):
        current = (labels.action == number) & (labels.view == number % len(train.cameras))
        of_one = current & (labels.subject == subjects[number % len(subjects)])
        frames = torch.nonzero(of_one if of_one.any() else labels.action == number)[:, 0]
        chosen.append(int(frames[len(frames) // 3]))
    names = [train.actions[int(a)].replace("_", " ") for a in labels.action[chosen]]
    titles = [f"{name}, {int(s)}" for name, s in zip(names, labels.subject[chosen])]
    images = train.load(torch.tensor(chosen)).image
    return image_grids.contact_sheet(
        images, titles, shown.note, "One frame of each action (action, subject)", 7
    )


def skeletons(shown: FigureData) -> Drawn:
    """Test frames at quantiles of the error of the method that is best on average."""
    settings = shown.results["settings"]
    best = min(shown.predictions, key=lambda name: settings[name]["summary"][ANGLE]["mean"])
    pose, truth = shown.predictions[best], shown.truth
    errors = torch.rad2deg((pose.angles - truth.pose.angles).abs().mean(-1))
    order = errors.argsort()
    chosen = torch.stack([order[round(q * (len(order) - 1))] for q in _QUANTILES])
    few = shown.test.load(chosen)
    points = shown.skeleton(Pose(*(part[chosen] for part in pose)))
    titles = [f"better than {1 - q:.0%}: {errors[i]:.1f}°" for q, i in zip(_QUANTILES, chosen)]
    title = f"{label(best)}: mean angle error of single frames, from the lowest"
    return image_grids.skeleton_over_image(
        shown.skeleton, few.image, few.camera, few.points, points, titles, shown.note, title
    )


def angle_curves(shown: FigureData) -> Drawn:
    """The first test subject's walk, or first motion, seen by the first camera."""
    truth, actions = shown.truth, shown.test.actions
    action = actions.index("walking") if "walking" in actions else 0
    frames = (truth.subject == truth.subject.min()) & (truth.view == 0) & (truth.action == action)
    rows, time = [], truth.time[frames].numpy()
    for name in CURVES:
        column = shown.skeleton.coordinates.index(name)
        curves = {"truth": truth.pose.angles} | {
            label(s): pose.angles for s, pose in shown.predictions.items()
        }
        for method, angles in curves.items():
            values = torch.rad2deg(angles[frames, column]).numpy()
            rows.append(pd.DataFrame({"coordinate": name, "method": method, "time": time, "value": values}))
    title = f"{actions[action].replace('_', ' ').capitalize()}, test subject {int(truth.subject.min())}"
    table = pd.concat(rows)
    return plots.angle_curves(table, shown.note, title), table


def bland_altman(shown: FigureData) -> Drawn:
    column = shown.skeleton.coordinates.index(KNEE)
    true = torch.rad2deg(shown.truth.pose.angles[:, column])
    some = torch.from_numpy(np.linspace(0, len(true) - 1, min(POINTS, len(true))).astype(int))
    rows, limits, seen = [], [], set()
    for name in methods_of(shown.results):
        method, setting = shown.results["methods"][name], setting_of(name)
        if setting in shown.predictions and setting not in seen:
            seen.add(setting)
            difference = torch.rad2deg(shown.predictions[setting].angles[:, column]) - true
            rows.append(
                pd.DataFrame({"method": label(setting), "true": true[some], "difference": difference[some]})
            )
            found = method["coordinates"][KNEE]
            limits.append(
                {"method": label(setting), **{k: found[f"{k}_deg"] for k in ("bias", "low", "high")}}
            )
    table = pd.concat(rows)
    title = "Agreement of the right knee's flexion with the truth"
    return plots.bland_altman(table, pd.DataFrame(limits), "°", shown.note, title), table


FIGURES: dict[str, Callable[[FigureData], Drawn | None]] = {
    "paired": paired,
    "paired_refined": paired_refined,
    "front": front,
    "groups": groups,
    "cost": cost,
    "skeletons": skeletons,
    "angle_curves": angle_curves,
    "coordinates": coordinates,
    "subjects": subjects,
    "yaw": yaw,
    "bland_altman": bland_altman,
    "training": training,
    "training_temporal": training_temporal,
    "data": data,
}
