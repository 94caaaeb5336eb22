"""The report's figures: what to show of results.json, the runs' logs, the records and the stored answers.

Every function takes the material and gives a figure and its table; `draw` saves them in figures/.
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
from d3ke_lib.experiment.report import image_grids, plots
from d3ke_lib.experiment.report.figure_data import Material, gather
from d3ke_lib.experiment.report.method_names import label, methods_of, setting_of, settings_of
from d3ke_lib.experiment.run import artifacts, run_folder
from d3ke_lib.experiment.run.code_hash import code_hash
from d3ke_lib.experiment.run.codec import fingerprint
from d3ke_lib.nets.metrics import GROUPS

Drawn = tuple[Figure, pd.DataFrame]
ANGLE = "angle_mae_deg"
CURVES = (  # what gait papers show, from the hip down and from the trunk up
    *("hip_flexion_r", "hip_adduction_r", "hip_rotation_r", "knee_angle_r", "ankle_angle_r", "L5_S1_FE"),
    *("T1_head_neck_FE", "shoulder_elv", "elbow_flexion"),
)
KNEE = "knee_angle_r"
POINTS = 1200  # of a scatter plot
QUANTILES = (0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98)
CAPTIONS: dict[str, str] = tomllib.loads(
    Path(__file__).with_name("captions.toml").read_text(encoding="utf-8")
)


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
    material = gather(folder, artifacts.read_json(folder / "results.json"))
    drawn = {name: figure(material) for name, figure in FIGURES.items()}
    target = folder / "figures"
    paths = [plots.save(*made, target / f"{name}.png") for name, made in drawn.items() if made]
    captions = {path.stem: CAPTIONS[path.stem] for path in paths}
    artifacts.write_json(target / "captions.json", {"fingerprint": identify(folder), "captions": captions})
    return paths


# --- from results.json ------------------------------------------------------------------------------------


def groups(material: Material) -> Drawn:
    settings = material.results["settings"]
    table = pd.DataFrame(
        {"group": group, "method": label(setting), **_interval(settings[setting], f"{ANGLE}/{group}")}
        for group in GROUPS
        for setting in settings_of(material.results)
    )
    return plots.group_bars(table, "°", material.note, "Angle error by part of the body"), table


def _interval(setting: dict[str, Any], metric: str) -> dict[str, float]:
    return {key: setting["summary"][metric][key] for key in ("mean", "low", "high")}


def coordinates(material: Material) -> Drawn:
    found = {name: method["coordinates"] for name, method in material.results["methods"].items()}
    rows = [
        {
            "coordinate": coordinate,
            "method": label(setting_of(name)),
            "mean": found[name][coordinate]["mae_deg"],
        }
        for name in methods_of(material.results)
        for coordinate in material.skeleton.coordinates
    ]
    table = pd.DataFrame(rows).groupby(["coordinate", "method"], sort=False, as_index=False).mean()
    return plots.heatmap(table, "°", material.note, "Angle error of each coordinate"), table


def subjects(material: Material) -> Drawn:
    rows = [
        {"subject": subject, "method": label(setting_of(name)), "mean": value}
        for name in methods_of(material.results)
        for subject, value in zip(material.results["subjects"], _by_subject(material, name))
    ]
    table = pd.DataFrame(rows).groupby(["subject", "method"], sort=False, as_index=False).mean()
    return plots.error_by_subject(table, "°", material.note, "Angle error by test subject"), table


def _by_subject(material: Material, method: str) -> list[float]:
    return material.results["methods"][method]["subjects"][ANGLE]


def paired(material: Material) -> Drawn | None:
    return _paired(material, "frame/")


def paired_refined(material: Material) -> Drawn | None:
    return _paired(material, "temporal/")


def _paired(material: Material, kind: str) -> Drawn | None:
    """The first comparison of two backbones of this kind; None where only one was trained."""
    found = [
        c
        for c in material.results["comparisons"]
        if c["first"].startswith(kind) and c["second"].startswith(kind)
    ]
    if not found:
        return None
    first, second, effect = found[0]["first"], found[0]["second"], found[0]["metrics"][ANGLE]
    table = pd.DataFrame({"subject": material.results["subjects"], "difference": found[0]["subjects"][ANGLE]})
    title = (
        f"{label(second)} − {label(first)}: {effect['mean']:+.2f}° "
        f"[{effect['low']:+.2f}, {effect['high']:+.2f}]"
    )
    return plots.paired_difference(
        table, effect, (label(first), label(second)), "°", material.note, title
    ), table


def cost(material: Material) -> Drawn:
    networks, rows = material.results["cost"]["networks"], []
    for setting in [setting for setting in settings_of(material.results) if setting in networks]:
        network = networks[setting]
        frame = (
            networks[f"frame/{setting.rpartition('.')[2]}"] if setting.startswith("temporal/") else network
        )
        own = network["latency_ms"] if setting.startswith("temporal/") else 0.0
        rows.append(
            {
                "method": label(setting),
                "cost": 1e3 / frame["images_per_second"] + own,
                "parameters": frame["parameters"] + (network["parameters"] if own else 0),
                "multiply_adds": frame["multiply_adds"] + (network["multiply_adds"] if own else 0),
                **_interval(material.results["settings"][setting], ANGLE),
            }
        )
    table, machine = pd.DataFrame(rows), material.results["machine"]
    note = f"{material.note} · {machine['gpu'] or machine['processor']}"
    return plots.accuracy_against_cost(table, "time a frame [ms]", "°", note, "Accuracy against cost"), table


# --- from logs --------------------------------------------------------------------------------------------


def training(material: Material) -> Drawn:
    return _training(material, "frame/", "thousand images", "Training of the frame networks")


def training_temporal(material: Material) -> Drawn | None:
    return _training(material, "temporal/", "thousand windows", "Training of the temporal networks")


def _training(material: Material, kind: str, x: str, title: str) -> Drawn | None:
    rows = []
    for name in methods_of(material.results):
        if name.startswith(kind):
            batch = artifacts.read_json(material.folder / name / run_folder.RESULT)["config"]["batch"]
            run = f"{label(setting_of(name))}, seed {name.rpartition('.')[2]}"
            for line in artifacts.read_log(material.folder / name / run_folder.LOG):
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
    return plots.training_curves(table, panels, x, material.note, title), table


# --- from records and answers -----------------------------------------------------------------------------


def data(material: Material) -> Drawn:
    """One frame of each action, subjects and cameras taking turns."""
    train = FrameSet(material.folder / "data", "train", material.skeleton)
    labels, people = train.labels(), train.labels().subject.unique()
    chosen = []
    for number in range(len(train.actions)):
        here = (labels.action == number) & (labels.view == number % len(train.cameras))
        of_one = here & (labels.subject == people[number % len(people)])
        frames = torch.nonzero(of_one if of_one.any() else labels.action == number)[:, 0]
        chosen.append(int(frames[len(frames) // 3]))
    names = [train.actions[int(a)].replace("_", " ") for a in labels.action[chosen]]
    labelled = [f"{name}, {int(s)}" for name, s in zip(names, labels.subject[chosen])]
    images = train.load(torch.tensor(chosen)).image
    return image_grids.contact_sheet(
        images, labelled, material.note, "One frame of each action (action, subject)", 7
    )


def skeletons(material: Material) -> Drawn:
    """Test frames at quantiles of the error of the method that is best on average."""
    settings = material.results["settings"]
    best = min(material.answers, key=lambda name: settings[name]["summary"][ANGLE]["mean"])
    pose, truth = material.answers[best], material.truth
    errors = torch.rad2deg((pose.angles - truth.pose.angles).abs().mean(-1))
    order = errors.argsort()
    chosen = torch.stack([order[round(q * (len(order) - 1))] for q in QUANTILES])
    few = material.test.load(chosen)
    points = material.skeleton(Pose(*(part[chosen] for part in pose)))
    labelled = [f"{q:.0%} of frames are better: {errors[i]:.1f}°" for q, i in zip(QUANTILES, chosen)]
    title = f"{label(best)}: from the best frames to the worst"
    return image_grids.skeleton_over_image(
        material.skeleton, few.image, few.camera, few.points, points, labelled, material.note, title
    )


def angle_curves(material: Material) -> Drawn:
    """The first test subject's walk, or first motion, seen by the first camera."""
    truth, actions = material.truth, material.test.actions
    action = actions.index("walking") if "walking" in actions else 0
    frames = (truth.subject == truth.subject.min()) & (truth.view == 0) & (truth.action == action)
    rows, time = [], truth.time[frames].numpy()
    for name in CURVES:
        column = material.skeleton.coordinates.index(name)
        curves = {"truth": truth.pose.angles} | {
            label(s): pose.angles for s, pose in material.answers.items()
        }
        for method, angles in curves.items():
            values = torch.rad2deg(angles[frames, column]).numpy()
            rows.append(pd.DataFrame({"coordinate": name, "method": method, "time": time, "value": values}))
    title = f"{actions[action].replace('_', ' ').capitalize()}, test subject {int(truth.subject.min())}"
    table = pd.concat(rows)
    return plots.angle_curves(table, material.note, title), table


def bland_altman(material: Material) -> Drawn:
    column = material.skeleton.coordinates.index(KNEE)
    true = torch.rad2deg(material.truth.pose.angles[:, column])
    some = torch.from_numpy(np.linspace(0, len(true) - 1, min(POINTS, len(true))).astype(int))
    rows, limits, seen = [], [], set()
    for name in methods_of(material.results):
        method, setting = material.results["methods"][name], setting_of(name)
        if setting in material.answers and setting not in seen:
            seen.add(setting)
            difference = torch.rad2deg(material.answers[setting].angles[:, column]) - true
            rows.append(
                pd.DataFrame({"method": label(setting), "true": true[some], "difference": difference[some]})
            )
            found = method["coordinates"][KNEE]
            limits.append(
                {"method": label(setting), **{k: found[f"{k}_deg"] for k in ("bias", "low", "high")}}
            )
    table = pd.concat(rows)
    title = "Agreement of the right knee's flexion with the truth"
    return plots.bland_altman(table, pd.DataFrame(limits), "°", material.note, title), table


FIGURES: dict[str, Callable[[Material], Drawn | None]] = {
    "paired": paired,
    "paired_refined": paired_refined,
    "groups": groups,
    "cost": cost,
    "skeletons": skeletons,
    "angle_curves": angle_curves,
    "coordinates": coordinates,
    "subjects": subjects,
    "bland_altman": bland_altman,
    "training": training,
    "training_temporal": training_temporal,
    "data": data,
}
