"""Report which downloads of BMLmovi, AMASS and SMPL-H are present, and what can be made from them.

python scripts/check_data.py RAW [--deep] [--json report.json]      (make check-data RAW=…)
Ends with 0 when everything is there, 1 when something is missing or damaged, 2 when RAW is no folder.
"""

import argparse
import json
import sys
from pathlib import Path

from d3ke_lib.data.bmlmovi import check as bmlmovi_check
from d3ke_lib.experiment.run import artifacts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", help="folder of the downloads")
    parser.add_argument("--deep", action="store_true", help="decode every video, read every fit")
    parser.add_argument("--json", type=Path, help="also write the report to this file")
    arguments = parser.parse_args()
    if not arguments.raw:
        print("error: say where the downloads are: make check-data RAW=folder", file=sys.stderr)
        return 2
    try:
        report = bmlmovi_check.check_data(Path(arguments.raw), deep=arguments.deep)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(bmlmovi_check.format_report(report, artifacts.out_root()))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if bmlmovi_check.is_complete(report) else 1


if __name__ == "__main__":
    sys.exit(main())
