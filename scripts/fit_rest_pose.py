"""Fit the skeleton to MakeHuman's mesh as it is modelled, and record it:  python scripts/fit_rest_pose.py

Writes d3ke_lib/data/people/rest_pose.json, from which the template of people is made. Needed once, and again
when our body or the fit changes.
"""

import json
import sys

import _cli

from d3ke_lib import files, settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.people import makehuman, rest_pose, template


@_cli.command()
def main() -> None:
    _cli.parser(__doc__).parse_args()
    source = makehuman.open_makehuman(settings.read().people)
    found = template.fit_reference(source, default_skeleton().double())
    files.write_text(rest_pose.RECORDED, json.dumps(found) + "\n")


if __name__ == "__main__":
    sys.exit(main())
