"""Print how long a profile will take on this machine, and write it as JSON.

python scripts/expected_time.py demo out/demo/expected_time.json
"""

import sys
from pathlib import Path

import _cli

from d3ke_lib.experiment.run import artifacts, config, devices
from d3ke_lib.experiment.studies import expected_time


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("profile")
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    profile = config.profile(given.profile)
    minutes, machine = expected_time.calibrate(profile), devices.describe()
    print(f"expected on this machine, {machine['cores']} cores, ± a third, where nothing else runs on it:")
    print(expected_time.table(minutes, len(profile.seeds)))
    artifacts.write_json(given.target, {"minutes": minutes, "machine": machine})


if __name__ == "__main__":
    sys.exit(main())
