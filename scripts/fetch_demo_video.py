"""A real video to try `make predict` on:  python scripts/fetch_demo_video.py out/demo-video/demo.mp4

The package Sports2D (BSD 3-Clause) ships one. Its wheel is downloaded from the package index by pip, never
installed; the video is taken out of it, with the licence and a note of its source next to it.
"""

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

import _cli

from d3ke_lib.files import sha256, write_bytes, write_text
from d3ke_lib.wheels import download_wheel

PACKAGE = "sports2d"
VIDEO = "Sports2D/Demo/demo.mp4"
SHA256 = "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039"  # of the video


@_cli.command(KeyError, zipfile.BadZipFile, interrupted="nothing was written")
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("target", type=Path)
    target = parser.parse_args().target
    if target.is_file() and sha256(target) == SHA256:
        return
    with tempfile.TemporaryDirectory() as folder:
        unpack(download_wheel(PACKAGE, Path(folder)), target)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB) from {PACKAGE}, its licence next to it")


def unpack(wheel: Path, target: Path) -> None:
    """The video, with LICENSE.txt and SOURCE.txt next to it; raises KeyError naming what the wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if name.lower().endswith("licenses/license")]
        video, terms = archive.read(VIDEO), archive.read(licences[0] if licences else "LICENSE").decode()
    digest = hashlib.sha256(video).hexdigest()
    if digest != SHA256:
        print(f"note: {wheel.name} has another video than expected (SHA-256 {digest})", file=sys.stderr)
    source = f"{VIDEO} from {wheel.name}\nsha256 {digest}\nBSD 3-Clause, see LICENSE.txt\n"
    write_text(target.with_name("LICENSE.txt"), terms)
    write_text(target.with_name("SOURCE.txt"), source)
    write_bytes(target, video)


if __name__ == "__main__":
    sys.exit(main())
