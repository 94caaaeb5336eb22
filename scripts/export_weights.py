"""Export trained networks for use elsewhere:  python scripts/export_weights.py --profile demo [--refiner tcn]

Writes out/<profile>/weights/<network>.safetensors (weights, how to build them, the skeleton they are for) and
a model card next to it, of the frame network and, where one is trained, of the temporal network behind it.
`d3ke_lib.nets.load_network` and `scripts/predict.py --weights` read the file.
"""

import sys
from pathlib import Path
from typing import Any

import _cli

from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.report import data_text, tables
from d3ke_lib.experiment.report.tables import Table
from d3ke_lib.experiment.resolved import Experiment, resolve
from d3ke_lib.experiment.run import artifacts, forward, run_folder
from d3ke_lib.files import D3keError, sha256, write_text
from d3ke_lib.nets.exported import export_network

_OPTIONS = {  # by kind of network: what of its configuration builds it
    "frame": ("backbone", "center_striding", "squash", "camera_input"),
    "temporal": ("kind", "window", "causal"),
}
_OF_POSES = ("squash", "camera_input")  # a frame network of points has neither
_NO_RECIPE = ("device", "workers", "cache_gb", "checkpoint_every", "log_every")  # how, not what
_INPUT = {"frame": "one image of a person", "temporal": "a window of a frame network's predictions"}
_EXAMPLE = """    from d3ke_lib.body import default_skeleton
    from d3ke_lib.nets import load_network
    net, about = load_network("{}", default_skeleton(), sha256="{}")"""
_LICENCES = {  # by whether the data are synthetic
    True: "That of this repository (LICENSE); the data are rendered, no recording of a person is in them.",
    False: "Trained on BMLmovi and AMASS, whose licences allow non-commercial research only and forbid "
    "passing the data on: ask their owners before the weights are passed on.",
}


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--profile", default="demo", help="whose networks (default: %(default)s)")
    parser.add_argument("--backbone", default="resnext50_32x4d", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refiner", help="default: transformer where it is trained, else none")
    given = parser.parse_args()
    experiment = resolve(given.profile)
    methods = [Method("frame", given.backbone, given.seed)]
    refined = Method("temporal", given.backbone, given.seed, given.refiner or "transformer")
    if given.refiner or (experiment.folder / refined.name / run_folder.RESULT).is_file():
        methods.append(refined)
    for method in methods:
        path = export(experiment, method)
        print(f"{path}  ({path.stat().st_size / 1e6:.1f} MB, sha256 {sha256(path)})")


def export(experiment: Experiment, method: Method) -> Path:
    """Writes the method's file and card; returns the file. Raises D3keError where it is not trained."""
    run, name = experiment.folder / method.name, experiment.profile.name
    if not (run / run_folder.RESULT).is_file():
        raise D3keError(f"{run}: expected a finished run, found none; make it with: make reproduce P={name}")
    result = artifacts.read_json(run / run_folder.RESULT)
    load = forward.load_frame_net if method.kind == "frame" else forward.load_temporal_net
    net, _ = load(run, experiment.skeleton)
    options = options_of(method, result["config"])
    about = result | {"profile": name, "metrics": _read_metrics(experiment, method)}
    path = experiment.folder / "weights" / f"{method.name.partition('/')[2]}.safetensors"
    export_network(path, net, options, about)
    write_text(path.with_suffix(".md"), write_card(experiment, method, about, path))
    return path


def options_of(method: Method, config: dict[str, Any]) -> dict[str, Any]:
    """What of a network's configuration builds it."""
    found = {key: config[key] for key in _OPTIONS[method.kind]}
    if config["head"] == "pose":
        return found
    return {key: found[key] for key in found if key not in _OF_POSES} | {"predicts": config["head"]}


def _read_metrics(experiment: Experiment, method: Method) -> dict[str, Any]:
    """Of these very weights on the test subjects, by metric and group; none where they are not evaluated."""
    path = experiment.folder / pipeline.RESULTS
    results = artifacts.read_json(path) if path.is_file() else {"methods": {}}
    found = results["methods"].get(method.name)
    trained = (experiment.folder / method.name / run_folder.RESULT).stat().st_mtime_ns
    if found is None or path.stat().st_mtime_ns < trained:
        return {}
    units = results["metrics"]
    return {
        name: {key: estimate[key] for key in ("mean", "low", "high")}
        | {"unit": units.get(name, units.get(name.partition("/")[0], ""))}
        for name, estimate in found["summary"].items()
    }


def write_card(experiment: Experiment, method: Method, about: dict[str, Any], path: Path) -> str:
    """The model card, as Markdown."""
    config, machine = about["config"], about["machine"]
    options = options_of(method, config)
    if method.kind == "temporal":
        options["SHA-256 of its frame network's weights"] = about["frame"]
    recipe = {key: value for key, value in config.items() if key not in (*options, *_NO_RECIPE)}
    parts = [
        f"# {method.name}",
        f"Joint angles, scale factors and pelvis rotation of D3KE's interface from {_INPUT[method.kind]}.",
        _EXAMPLE.format(path.name, sha256(path)[:12]),
        f"File: {path.name}, {path.stat().st_size / 1e6:.1f} MB, SHA-256 `{sha256(path)}`; of the weights "
        f"alone `{about['weights_sha256']}`. It is refused by another skeleton.",
        "## Network",
        _pairs(options),
        "## Data",
        data_text.introduce(experiment.profile).strip(),
        f"SHA-256 of the records' manifest: `{about['records']}`.",
        "## Recipe",
        f"{about['step']} steps in {about['seconds'] / 60:.1f} minutes on "
        f"{machine['gpu'] or machine['processor']}, seed {about['seed']}, commit {about['git']}.",
        _pairs(recipe),
        "## Metrics by group",
        _metrics_table(about["metrics"]) or "Not evaluated on the test subjects.",
        "## Limits",
        data_text.caution(experiment.profile).strip(),
        "## Licence",
        _LICENCES[data_text.is_synthetic(experiment.profile)],
    ]
    return "\n\n".join(parts) + "\n"


def _pairs(values: dict[str, Any]) -> str:
    return tables.markdown(Table(("setting", "value"), tuple((n, f"{v}") for n, v in values.items())))


def _metrics_table(metrics: dict[str, Any]) -> str:
    """Mean and interval over test subjects; a group of joints is named behind the metric."""
    rows = tuple(
        (name, one["unit"], f"{one['mean']:.3g}", f"{one['low']:.3g} to {one['high']:.3g}")
        for name, one in sorted(metrics.items())
    )
    header = ("metric", "unit", "mean over test subjects", "95 % interval")
    return tables.markdown(Table(header, rows)) if rows else ""


if __name__ == "__main__":
    sys.exit(main())
