"""Print how long a profile will take on this machine, and write it as JSON.

python scripts/expected_time.py demo out/demo/expected_time.json
"""

import argparse
import sys
import tempfile
from pathlib import Path

from d3ke_lib.experiment.run import artifacts, config, devices
from d3ke_lib.experiment.studies import expected_time


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile")
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    try:
        profile = config.profile(arguments.profile)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        expected = expected_time.calibrate(profile, Path(folder))
    print(f"expected on this machine, {devices.describe()['cores']} cores, ± a quarter:")
    print(expected_time.table(expected))
    minutes = {each.stage: round(each.minutes, 2) for each in expected}
    artifacts.write_json(arguments.target, {"minutes": minutes, "machine": devices.describe()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
