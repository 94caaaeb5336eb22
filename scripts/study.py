"""Train the cells of the study's plan one by one, resume where it stopped, record what came out:

python scripts/study.py train [--cells "pair equal_compute"] [--until 13:25]   (make study [CELLS=] [UNTIL=])
python scripts/study.py rerun --run frame/resnext50_32x4d.0     from nothing: the same weights?
python scripts/study.py replay      after an edit that changes no number: a part is made again and compared
python scripts/study.py status      which cells are trained, and how long they took
python scripts/study.py record      out/study/results.json → data/results/study.json, evaluated where needed
"""

import datetime
import re
import sys
from pathlib import Path

import _cli

from d3ke_lib.experiment import pipeline, replay, study
from d3ke_lib.experiment.evaluation.recorded import write_reduced
from d3ke_lib.experiment.resolved import Experiment, resolve
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.files import D3keError


@_cli.command(interrupted="the same command goes on")
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("task", choices=("train", "rerun", "replay", "status", "record"))
    parser.add_argument("--profile", default="study")
    parser.add_argument("--cells", default="", help="names of cells (default: all)")
    parser.add_argument("--run", default="", help="name of a finished run, to be trained once more")
    parser.add_argument("--until", default="", help="HH:MM at which training stops")
    parser.add_argument("--to", type=Path, default=_cli.RESULTS / "study.json")
    given = parser.parse_args()
    experiment = resolve(given.profile)
    study.read_plan(experiment).choose(tuple(given.cells.split()))
    until = parse_time(given.until) if given.until else None
    if given.task == "train":
        study.train(experiment, pipeline.data(experiment), given.cells.split(), until, say)
    elif given.task == "rerun":
        same = study.rerun(experiment, pipeline.data(experiment), given.run)
        print(f"{given.run}: {'the same weights' if same else 'OTHER weights'}")
        return 0 if same else 1
    elif given.task == "replay":
        if replay.replay_records(experiment, devices.choose("auto").type):
            say("records: the same, taken over")
        for name in replay.replay_runs(experiment):
            say(f"{name}: the same losses, taken over")
    elif given.task == "record":
        print(record(experiment, given.to))
    print(show(experiment))
    return 0


def say(line: str) -> None:
    print(line, flush=True)


def parse_time(text: str) -> float:
    """Seconds since the epoch of the next HH:MM on this machine's clock; D3keError for other words."""
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise D3keError(f"UNTIL: expected a time such as 13:25, found {text!r}")
    now = datetime.datetime.now().astimezone()
    hour, minute = map(int, text.split(":"))
    found = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (found if found > now else found + datetime.timedelta(days=1)).timestamp()


def show(experiment: Experiment) -> str:
    """A line per cell: its state, how many of its runs are finished, minutes and core-minutes of all."""
    lines = [f"{'cell':<18}{'state':<15}{'runs':>7}{'min':>8}{'core-min':>10}"]
    for cell in study.read_plan(experiment).cells:
        found = study.describe_cell(experiment, cell)
        runs = list(found["runs"].values())
        finished = sum(run["state"] == study.FINISHED for run in runs)
        seconds, cores = (sum(run.get(key, 0) for run in runs) for key in ("seconds", "core_seconds"))
        count = f"{finished}/{len(runs)}"
        lines.append(f"{cell.name:<18}{found['state']:<15}{count:>7}{seconds / 60:>8.1f}{cores / 60:>10.1f}")
    return "\n".join(lines)


def record(experiment: Experiment, path: Path) -> Path:
    """Writes the results in their short form; D3keError above 1 MB."""
    return write_reduced(path, artifacts.read_json(pipeline.evaluate(experiment)))


if __name__ == "__main__":
    sys.exit(main())
