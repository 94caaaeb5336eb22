"""The recorded real trial as tables, charts and a sentence."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from d3ke_lib.experiment.evaluation.references import REFERENCES
from d3ke_lib.experiment.report.drawing import NARROW, QUIET, TRUTH, figure, head, style_of
from d3ke_lib.experiment.report.method_names import label, setting_of
from d3ke_lib.experiment.run.artifacts import read_json
from d3ke_lib.settings import REPOSITORY

RECORDED = REPOSITORY / "data" / "results" / "real_trial.json"
_DRAWN = ("mean pose", "landmarks", "lifted", "ResNeXt-50 + transformer", "ResNeXt-101 + transformer")
_WITHOUT_TRAINING = ("mean pose", "landmarks", "lifted")  # on images
_SHOWN = ("knee_angle_r", "hip_flexion_r", "elbow_flexion", "shoulder_elv")


def read_record(path: Path = RECORDED) -> dict[str, Any]:
    """Raises D3keError where it is not recorded."""
    return read_json(path)


def _by_setting(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Scores under the names that readers see; of a network's runs the mean, and `runs`, how many.

    Interval bounds are averaged, too: they are over time. Without methods that predicted no frame.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name in sorted(record["methods"], key=_rank):
        if record["methods"][name]["valid"]:
            found.setdefault(_name_of(name), []).append(record["methods"][name])
    return {name: _average(runs) | {"runs": len(runs)} for name, runs in found.items()}


def _rank(method: str) -> tuple:
    """Methods that were not trained on images first, then networks by size, each before its refiners."""
    if method in _WITHOUT_TRAINING:
        return _WITHOUT_TRAINING.index(method), [], "", method
    kind, _, network = setting_of(method).partition("/")
    return len(_WITHOUT_TRAINING), [int(digits) for digits in re.findall(r"\d+", network)], kind, method


def _name_of(method: str) -> str:
    return label(setting_of(method)) if "/" in method else method


def _average(values: Sequence[Any]) -> Any:
    """Element by element; None where one is None."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _average([each[key] for each in values]) for key in first}
    return None if None in values else sum(values) / len(values)


def method_table(record: Mapping[str, Any]) -> pd.DataFrame:
    """A row per method, degrees; the reference's own uncertainty first, missing methods last."""
    reference = record["reference"]
    rows = [
        {
            "method": f"reference, {len(record['views'])} cameras (jackknife)",
            "MAE [°]": f"± {reference['se_mean_deg']:.1f}",
            "SD over time [°]": f"{reference['spread_deg']:.1f}",
        }
    ]
    rows += [
        {"method": _with_runs(name, scores), **_row(scores)} for name, scores in _by_setting(record).items()
    ]
    rows += [{"method": _name_of(name), "MAE [°]": why} for name, why in record["missing"].items()]
    return pd.DataFrame(rows).fillna("")


def _with_runs(name: str, scores: Mapping[str, Any]) -> str:
    return name if scores["runs"] == 1 else f"{name}, mean of {scores['runs']} runs"


def _row(scores: Mapping[str, Any]) -> dict[str, str]:
    mae, than = scores["mae"], scores.get("than_mean_pose")
    return {
        "MAE [°]": f"{mae['mean']:.1f} [{mae['low']:.1f}, {mae['high']:.1f}]",
        "− mean pose [°]": f"{than['mean']:+.1f} [{than['low']:+.1f}, {than['high']:+.1f}]" if than else "",
        "without offset [°]": f"{scores['without_offset']:.1f}",
        "r": "none" if scores["r"] is None else f"{scores['r']:.2f}",
        "across views [°]": "" if scores["across_views"] is None else f"{scores['across_views']:.1f}",
        "SD over time [°]": f"{scores['spread']:.1f}",
        "synthetic [°]": "" if scores["synthetic_deg"] is None else f"{scores['synthetic_deg']:.1f}",
        "frames": f"{scores['valid']:.0%}",
    }


def reference_table(record: Mapping[str, Any]) -> pd.DataFrame:
    """What is known of the reference's own error."""
    found = record["reference"]
    pixels, opensim = found["reprojection_px"], found["opensim"]
    limbs = ("knee", "elbow")
    apart = [v for name, v in opensim["difference_deg"].items() if name.startswith(limbs)]
    rows = {
        "reprojection error, median (95 %)": f"{pixels['median']:.1f} px ({pixels['p95']:.0f} px)",
        "views that agree (within 30 px)": f"{found['inlying']:.0%}",
        "markers after inverse kinematics, RMS": f"{found['marker_rms_mm']:.0f} mm",
        "standard error over cameras, mean of 12 coordinates": f"{found['se_mean_deg']:.1f}°",
        "change without one camera, mean": ", ".join(f"{each:.1f}°" for each in found["left_out_deg"]),
        "OpenSim's own inverse kinematics: knees and elbows, median difference": f"{max(apart):.2f}° at most",
        "standard deviation over time, mean of 12 coordinates": f"{found['spread_deg']:.1f}°",
    }
    return pd.DataFrame({"value": rows})


def coordinate_table(record: Mapping[str, Any]) -> pd.DataFrame:
    """MAE (degrees) of every coordinate by method, and the reference's standard error."""
    columns = {"reference ±": record["reference"]["se_deg"]}
    columns |= {name: scores["by_coordinate"] for name, scores in _by_setting(record).items()}
    return pd.DataFrame(columns).loc[record["coordinates"]].round(1)


def draw_methods(record: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """MAE with its interval over time by method, next to the error on synthetic data and the reference's."""
    rows = [
        {"method": name, **scores["mae"], "synthetic": scores["synthetic_deg"]}
        for name, scores in _by_setting(record).items()
    ]
    table = pd.DataFrame(rows)
    note = f"{_about(record)}; intervals over time (blocks of 0.25 s), not over persons"
    with figure(NARROW, 1.9 + 0.28 * len(table), note) as drawn:
        axes, looks = drawn.add_subplot(), style_of([row["method"] for row in rows])
        for i, row in table.iterrows():
            spread = [[row["mean"] - row.low], [row.high - row["mean"]]]
            axes.errorbar(row["mean"], i, xerr=spread, capsize=3, linestyle="none", **looks[row.method])
        known = table[table.synthetic.notna()]
        axes.plot(known.synthetic, known.index, "|", color=TRUTH, markersize=11, label="on synthetic data")
        axes.axvspan(0, record["reference"]["se_mean_deg"], color=QUIET, alpha=0.25, label="reference ±")
        axes.set_yticks(range(len(table)), table.method)
        axes.set(xlabel="mean absolute error of 12 coordinates [°]", xlim=(0, None))
        axes.invert_yaxis()
        head(drawn, "Errors from one camera on a real recording", axes)
    return drawn, table


def draw_curves(record: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Reference (± 2 standard errors) and predictions (mean over views) over time, four coordinates."""
    reference, rows = record["reference"], []
    shown = _first_runs(record)
    with figure(NARROW, 6.4, f"{_about(record)}; predictions: mean over the views") as drawn:
        panels = drawn.subplots(len(_SHOWN), 1, sharex=True)
        looks = style_of(list(shown))
        for axes, name in zip(panels, _SHOWN):
            true, se = (pd.Series(reference[key][name]) for key in ("angles_deg", "se_by_frame_deg"))
            time = true.index / record["rate_hz"]
            axes.fill_between(time, true - 2 * se, true + 2 * se, color=QUIET, alpha=0.3, linewidth=0)
            axes.plot(time, true, color=TRUTH, label="reference ± 2 SE")
            for method, source in shown.items():
                values = pd.Series(record["curves"][source][name], dtype=float)
                axes.plot(time, values, color=looks[method]["color"], label=method, linewidth=1.2)
                rows += [(name, method, t, v) for t, v in zip(time, values)]
            rows += [(name, "reference", t, v) for t, v in zip(time, true)]
            axes.set_title(name)
        panels[-1].set_xlabel("time [s]")
        drawn.supylabel("angle [°]")
        head(drawn, "Joint angles of the real recording", panels[0])
    return drawn, pd.DataFrame(rows, columns=["coordinate", "method", "time", "value"])


def _first_runs(record: Mapping[str, Any]) -> dict[str, str]:
    """What is drawn → the method in the record: of several runs the first."""
    shown: dict[str, str] = {}
    for name, scores in record["methods"].items():
        if scores["valid"]:
            shown.setdefault(_name_of(name), name)
    return {name: shown[name] for name in _DRAWN if name in shown}


def _about(record: Mapping[str, Any]) -> str:
    seconds = record["frames"] / record["rate_hz"]
    return f"One person, {len(record['views'])} cameras one at a time, {seconds:.1f} s"


def sentence(record: Mapping[str, Any]) -> str:
    """The gap between synthetic and real data, in degrees, for the first screen."""
    methods = _by_setting(record)
    gaps = [
        f"{name} {found['synthetic_deg']:.1f}° on synthetic subjects, {found['mae']['mean']:.1f}° here"
        for name, found in methods.items()
        if found["synthetic_deg"] is not None and name not in REFERENCES
    ]
    about, se = _about(record).lower(), record["reference"]["se_mean_deg"]
    others = [f"{name} {methods[name]['mae']['mean']:.1f}°" for name in _WITHOUT_TRAINING if name in methods]
    return (
        f"On the one real recording at hand ({about}), mean absolute error of 12 coordinates: "
        f"{'; '.join([*gaps, *others]) or 'nothing measured'}. "
        f"The reference, without markers, is itself uncertain by {se:.1f}° or more."
    )
