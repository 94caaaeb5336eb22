"""Cut out the objects of PASCAL VOC's segmented photographs, the occluders of D3KE.

python scripts/make_occluders.py VOCdevkit/VOC2012 out/occluders.safetensors      (make occluders VOC=…)
make reproduce P=bmlmovi RAW=… OCCLUDERS=out/occluders.safetensors
"""

import sys
from pathlib import Path

import _cli

from d3ke_lib.data import voc_cutouts
from d3ke_lib.files import sha256


@_cli.command()
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("voc", help="folder with Annotations, JPEGImages and SegmentationObject")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if not options.voc:
        raise ValueError("say where VOC2012 is: make occluders VOC=folder")
    count = voc_cutouts.make_cutouts(Path(options.voc), options.out)
    print(f"{options.out}: {count} objects, sha256 {sha256(options.out)}")


if __name__ == "__main__":
    sys.exit(main())
