"""Our landmarks next to mediapipe's own on the demo video:  compare_mediapipe.py --python ENV/bin/python

mediapipe needs an environment of its own: python3.11 -m venv ENV; ENV/bin/pip install mediapipe==0.10.21 av.
Writes data/results/landmarks.json, or what --to names.
"""

import json
import os
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import _cli
import numpy as np

from d3ke_lib import settings
from d3ke_lib.data.video import probe, read_frames
from d3ke_lib.files import D3keError, write_text
from d3ke_lib.landmarks import detect_people, load_networks
from d3ke_lib.landmarks.networks import VERSION

# What runs in the other environment; its smoothing of landmarks over time is off.
THEIRS = """
import sys, av, numpy as np, mediapipe as mp
path, count, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
pose = mp.solutions.pose.Pose(model_complexity=1, smooth_landmarks=False)
image, world = np.full((count, 33, 2), np.nan), np.full((count, 33, 3), np.nan)
for i, frame in zip(range(count), av.open(path).decode(video=0)):
    rgb = frame.to_ndarray(format="rgb24")
    found = pose.process(np.ascontiguousarray(rgb))
    if found.pose_landmarks:
        size = rgb.shape[1::-1]
        image[i] = [(p.x * size[0], p.y * size[1]) for p in found.pose_landmarks.landmark]
        world[i] = [(p.x, p.y, p.z) for p in found.pose_world_landmarks.landmark]
np.savez(out, image=image, world=world)
"""


@_cli.command(interrupted="nothing was written")
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--python", type=Path, required=True, help="of the environment with mediapipe")
    parser.add_argument("--video", type=Path, default=_cli.ROOT / "out/demo-video/demo.mp4")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--to", type=Path, default=_cli.RESULTS / "landmarks.json", help="JSON file to write")
    options = parser.parse_args()
    video = probe(options.video)
    count = min(options.frames, len(video.times))
    theirs = run_mediapipe(options.python, options.video, count)
    networks = load_networks(settings.read().out / "landmarks")
    people = detect_people(networks, islice(read_frames(video), count), fps=30.0)  # as mediapipe assumes
    # mediapipe follows one person; of ours the one who is nearest.
    distance = min((np.linalg.norm(p.image - theirs["image"], axis=-1) for p in people), key=typical)
    facts = {
        "mediapipe": VERSION,
        "video": options.video.name,
        "frames": count,
        "frames_both": int(np.isfinite(distance[:, 0]).sum()),
        "px": {"median": typical(distance), "p95": float(np.nanpercentile(distance, 95))},
        "person_px": float(np.nanmedian(np.ptp(theirs["image"][..., 1], axis=1))),
        "median_px_by_landmark": np.nanmedian(distance, 0).round(2).tolist(),
    }
    write_text(options.to, json.dumps(facts, indent=1) + "\n")
    print(f"median {facts['px']['median']:.2f} px over {facts['frames_both']} frames")


def typical(distance: np.ndarray) -> float:
    return float(np.nanmedian(distance)) if np.isfinite(distance).any() else np.inf


def run_mediapipe(python: Path, video: Path, count: int) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "theirs.npz"
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [python, "-c", THEIRS, video, str(count), out]
        ran = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise D3keError(f"{python}: {(ran.stderr.strip().splitlines() or ['no message'])[-1]}")
        with np.load(out) as arrays:
            return dict(arrays)


if __name__ == "__main__":
    sys.exit(main())
