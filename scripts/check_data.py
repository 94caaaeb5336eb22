"""Report which downloads of BMLmovi, AMASS and SMPL-H are present, and what can be made from them.

python scripts/check_data.py RAW [--deep] [--json report.json]      (make check-data RAW=…)
Ends with 0 when everything is there, 1 when something is missing or damaged, 2 when RAW is no folder.
"""

import sys
from pathlib import Path

import _cli

from d3ke_lib.data.bmlmovi import check as bmlmovi_check
from d3ke_lib.experiment.run import artifacts


@_cli.command()
def main() -> int:
    parser = _cli.parser(__doc__)
    parser.add_argument("raw", help="folder of the downloads")
    parser.add_argument("--deep", action="store_true", help="decode every video, read every fit")
    parser.add_argument("--json", type=Path, help="also write the report to this file")
    arguments = parser.parse_args()
    if not arguments.raw:
        raise ValueError("say where the downloads are: make check-data RAW=folder")
    report = bmlmovi_check.check_data(Path(arguments.raw), deep=arguments.deep)
    print(bmlmovi_check.format_report(report, artifacts.out_root()))
    if arguments.json:
        artifacts.write_json(arguments.json, report)
    return 0 if bmlmovi_check.is_complete(report) else 1


if __name__ == "__main__":
    sys.exit(main())
