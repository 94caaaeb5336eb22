"""Where the degrees of a multi-step pipeline come from:  python scripts/error_ladder.py [--profile study]

Takes the profile's trained networks, as many as there are, and writes data/results/error_ladder.json.
"""

import sys

import _cli

from d3ke_lib.experiment import networks, pipeline
from d3ke_lib.experiment.evaluation.evaluate import Method
from d3ke_lib.experiment.evaluation.measure import Runs, Trained
from d3ke_lib.experiment.report import ladder, tables
from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.studies import error_ladder
from d3ke_lib.experiment.studies.ladder_points import DIRECT, POINTS, REFINED


@_cli.command()
def main() -> None:
    parser = _cli.bench_parser(__doc__, _cli.RESULTS / "error_ladder.json", threads=1)
    parser.add_argument("--profile", default="study", help="whose networks and test subjects are used")
    parser.add_argument("--backbone", default="resnext50_32x4d")
    parser.add_argument("--motions", type=int, default=5, help="per test subject")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    given = parser.parse_args()
    experiment = pipeline.resolve(given.profile)
    runs = choose(networks.find_runs(experiment), given.backbone)
    found = error_ladder.climb(
        runs, pipeline.data(experiment), experiment.skeleton, given.motions, workers=given.workers
    )
    artifacts.write_json(given.to, found)
    print(tables.markdown(ladder.rungs_table(found)))


def choose(runs: Runs, backbone: str) -> dict[str, list[Trained]]:
    """Source of points → the finished runs that predict them, by seed."""
    settings = {
        DIRECT: Method("frame", backbone),
        REFINED[DIRECT]: Method("temporal", backbone, None, "transformer"),
        POINTS: Method("frame", f"{backbone}@points"),
        REFINED[POINTS]: Method("temporal", f"{backbone}@points", None, "transformer"),
    }
    found = {
        name: [run for each, run in runs.items() if each.setting == method.setting]
        for name, method in settings.items()
    }
    return {name: each for name, each in found.items() if each}


if __name__ == "__main__":
    sys.exit(main())
