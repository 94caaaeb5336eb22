"""The real path on the synthetic BMLmovi: errors against the truth, cost, killed at random the same bytes.

PYTHONPATH=tests python -m bmlmovi_fixture out/fixture --subjects 1 2 3
PYTHONPATH=tests python -m bmlmovi_fixture.prove out/fixture out/proof --kills 20
"""

import argparse
import dataclasses
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bmlmovi_fixture.proof import hashes, recovered
from d3ke_lib import files
from d3ke_lib.data import records
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import subject as bmlmovi_subject
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.bmlmovi.folder_tree import find_downloads
from d3ke_lib.data.schema import file_name

READY = "ready"
# For the projection: 84 subjects in front of two cameras for two minutes each, which is assumed.
# `make check-data` counts the frames of real downloads.
SUBJECTS, CAMERAS, SECONDS_EACH = 84, 2, 120


def config_of(raw: Path) -> BmlmoviConfig:
    """Everybody of the fixture; the first is for training."""
    about = json.loads((raw / "truth" / "config.json").read_text(encoding="utf-8"))
    first, *others = about["subjects"]
    return BmlmoviConfig(
        train=(first,), validation=(), test=tuple(others), cameras=tuple(about["cameras"]), px=128
    )


def cost(raw: Path, out: Path) -> dict[str, Any]:
    """Seconds and bytes a frame by stage, real size, one thread, and what they come to for BMLmovi."""
    config, tree = dataclasses.replace(config_of(raw), px=BmlmoviConfig().px), find_downloads(raw)
    labelled = cropped = seconds_labels = seconds_crops = written = 0
    for subject, cameras in config.files.items():
        began = time.perf_counter()
        labels, ranges = bmlmovi_subject.load_or_make_labels(config, tree, out, subject)
        seconds_labels += time.perf_counter() - began
        labelled += len(labels.frame)
        for camera in cameras:
            began = time.perf_counter()
            bmlmovi_subject.make_file(config, tree, out, labels, ranges, (subject, camera))
            seconds_crops += time.perf_counter() - began
            path = out / file_name(subject, camera)
            cropped, written = cropped + len(records.read(path)), written + path.stat().st_size
    stored = sum(path.stat().st_size for path in (out / "labels").iterdir())
    frames = SUBJECTS * SECONDS_EACH * round(config.fps)
    seconds = frames * (seconds_labels / labelled + CAMERAS * seconds_crops / cropped)
    return {
        "px": config.px,
        "frames_labelled": labelled,
        "images": cropped,
        "label_seconds_a_frame": round(seconds_labels / labelled, 5),
        "crop_seconds_per_frame": round(seconds_crops / cropped, 5),
        "record_bytes_per_image": round(written / cropped),
        "label_bytes_a_frame": round(stored / labelled),
        "assumed_images": CAMERAS * frames,
        "projected_gb": round(frames * (CAMERAS * written / cropped + stored / labelled) / 1e9, 1),
        "projected_hours": {cores: round(seconds / 3600 / cores, 2) for cores in (2, 16)},
    }


def attempt(raw: Path, out: Path, seconds: float | None) -> tuple[bool, float]:
    """Make the records in another process, killed so long after its imports; whether and when it ended."""
    command = [sys.executable, __file__, str(raw), str(out), "--make"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        process.stdout.readline()
        began = time.monotonic()
        try:
            finished = process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            finished = False
        return finished, time.monotonic() - began


def killed(raw: Path, out: Path, kills: int, seed: int) -> dict[str, object]:
    """Kills at random times; the next attempt goes on; whenever one finishes, its bytes are compared."""
    draw, done, runs = random.Random(seed), [], {}
    _, whole = attempt(raw, out / "whole", None)
    expected = hashes(out / "whole")
    while len(done) < kills or (out / f"killed_{len(runs)}").exists():
        folder = out / f"killed_{len(runs)}"
        after = draw.uniform(0, whole) if len(done) < kills else None
        finished, seconds = attempt(raw, folder, after)
        files = hashes(folder) if folder.exists() else {}
        if finished:
            runs[folder.name] = "same bytes" if files == expected else "other bytes"
            continue
        done.append({"after_s": round(seconds, 2), "files_whole": len(files)})
        print(f"kill {len(done)}: after {seconds:.2f} s, {len(files)} of {len(expected)} files whole")
    return {"files": len(expected), "kills": done, "runs": runs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder that `python -m bmlmovi_fixture` wrote")
    parser.add_argument("out", type=Path, help="folder for records and proof.json")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make", action="store_true", help="only make the records in `out`")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.make:
        print(READY, flush=True)
        bmlmovi.make(config_of(arguments.raw), arguments.raw, arguments.out)
        return 0
    whole = arguments.out / "whole"
    bmlmovi.make(config_of(arguments.raw), arguments.raw, whole)
    proof = {"recovered": recovered(arguments.raw, whole)}
    with tempfile.TemporaryDirectory() as folder:
        proof["cost"] = cost(arguments.raw, Path(folder))
    print(json.dumps(proof["cost"]))
    for name, found in proof["recovered"].items():
        print(
            f"{name}: {len(found['observable_rms_deg'])} observable coordinates within "
            f"{found['worst_observable_deg']}°, pelvis {found['pelvis_deg']}°, "
            f"scale factors {found['scales_percent']} %, markers {found['points_mm']['markers']['max']} mm"
        )
    if arguments.kills:
        proof["killed"] = killed(arguments.raw, arguments.out / "kills", arguments.kills, arguments.seed)
    files.write_bytes(arguments.out / "proof.json", (json.dumps(proof, indent=1) + "\n").encode())
    return 1 if "other bytes" in proof.get("killed", {"runs": {}})["runs"].values() else 0


if __name__ == "__main__":
    sys.exit(main())
