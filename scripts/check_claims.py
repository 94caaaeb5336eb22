"""Test what of data/claims.toml needs no training:  python scripts/check_claims.py

Writes data/results/claims.json, and prints every claim with its verdict.
"""

import sys

import _cli
import torch

from d3ke_lib.experiment.report import ledger, tables
from d3ke_lib.experiment.run import artifacts, devices
from d3ke_lib.experiment.studies import claim_checks


@_cli.command()
def main() -> None:
    given = _cli.bench_parser(__doc__, _cli.RESULTS / "claims.json", threads=1).parse_args()
    torch.set_num_threads(given.threads)
    checks = {name: check() for name, check in claim_checks.CHECKS.items()}
    recorded = _cli.RESULTS / "study.json"
    results = artifacts.read_json(recorded) if recorded.is_file() else claim_checks.NO_RESULTS
    about = {"schema": 1, "git": artifacts.git_revision(), "machine": devices.describe()}
    artifacts.write_json(given.to, about | {"checks": checks, "derived": claim_checks.derive(results)})
    print(tables.markdown(ledger.ledger_table(_cli.ROOT)))


if __name__ == "__main__":
    sys.exit(main())
