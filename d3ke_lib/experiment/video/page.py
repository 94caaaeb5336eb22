"""The page of a prediction, which opens without network: overlay, skeleton, curves, and what is unknown."""

import html
import json
from pathlib import Path
from string import Template

import numpy as np
from jaxtyping import Float

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.motion_files import Motion
from d3ke_lib.experiment.report.image_grids import bones
from d3ke_lib.experiment.video.accuracy import warning
from d3ke_lib.experiment.video.prediction import Prediction

_PAGE = Path(__file__).with_name("predict_page.html")
_MOST_FRAMES = 1500  # in the page: a long video is thinned out
# Joint → coordinates of the right and the left side, or of the middle, and the movement.
_CURVES = {
    "hip": ("hip_flexion", "hip_adduction", "hip_rotation"),
    "knee": ("knee_angle",),
    "ankle": ("ankle_angle", "subtalar_angle"),
    "shoulder": ("shoulder_elv", "elv_angle", "shoulder_rot"),
    "elbow": ("elbow_flexion", "pro_sup"),
}
_LUMBAR = {"lumbar flexion": "FE", "lumbar bending": "LB", "lumbar rotation": "AR"}
_LUMBAR_JOINTS = ("L5_S1", "L4_L5", "T12_L1")  # predicted ones; those between follow


def make_page(
    prediction: Prediction,
    skeleton: Skeleton,
    motion: Motion,
    joints: Float[np.ndarray, "frame joint 3"],
    drawn: bool = True,
) -> str:
    """`motion` in rad, `joints` in ground, m; `drawn`: there is an overlay."""
    video, times = prediction.video, prediction.times
    overlay = f'<video controls src="overlay.mp4#t={times[0]:.2f}"></video>'
    rows = {key: html.escape(value) for key, value in _facts(prediction).items() if value}
    some = np.arange(0, len(times), -(-len(times) // _MOST_FRAMES))
    data = {
        "times": times[some].round(3).tolist(),
        "joints": joints[some].round(3).tolist(),
        "bones": _sided_bones(skeleton),
        "curves": _curves(motion, some),
    }
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(video.path.name),
        warning=html.escape(warning(prediction.method)),
        rows="".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in rows.items()),
        overlay=overlay if drawn else "The overlay was interrupted. Predict again to draw it.",
        data=json.dumps(data, separators=(",", ":")),
    )


def _sided_bones(skeleton: Skeleton) -> list[tuple[int, int, str]]:
    """(joint, its parent, side of the body)."""
    names = skeleton.joints

    def side(name: str) -> str:
        if name.endswith("_l"):
            return "left"
        return "right" if name.endswith("_r") or f"{name}_l" in names else "middle"

    return [(joint, parent, side(names[joint])) for joint, parent in bones(skeleton)]


def _facts(prediction: Prediction) -> dict[str, str]:
    video, times = prediction.video, prediction.times
    absent = len(video.times) - len(times)
    hidden = int((~prediction.seen).sum())
    return {
        "video": f"{video.path.name}, {video.size[0]} × {video.size[1]} px",
        "frames": f"{len(video.times)} at {video.fps:.2f} Hz",
        "repaired": "; ".join(video.notes),
        "person seen": f"{times[0]:.2f} s to {times[-1]:.2f} s, {len(times) - hidden} frames"
        + (f"; hidden for a moment in {hidden}" if hidden else "")
        + (f"; absent from {absent}, which have no angles" if absent else ""),
        "box": prediction.choice,
        "camera": f"still, upright and level (assumed); focal length {prediction.camera.focal[0]:.0f} px",
        **prediction.facts,
    }


def _curves(motion: Motion, some: np.ndarray) -> list[dict]:
    """Angles (degrees) by movement: right in front of left, or one in the middle."""
    degrees = dict(zip(motion.labels, np.rad2deg(motion.values[some]).round(1).T.tolist()))
    charts = []
    for joint, stems in _CURVES.items():
        for stem in stems:
            right = f"{stem}_r" if f"{stem}_r" in degrees else stem
            sides = {"right": degrees[right], "left": degrees[f"{stem}_l"]}
            charts.append({"joint": joint, "name": stem.replace("_", " "), "sides": sides})
    for name, axis in _LUMBAR.items():
        parts = [motion.values[some, motion.labels.index(f"{joint}_{axis}")] for joint in _LUMBAR_JOINTS]
        total = np.rad2deg(np.sum(parts, 0)).round(1).tolist()
        charts.append({"joint": "lumbar", "name": name, "sides": {"middle": total}})
    return charts
