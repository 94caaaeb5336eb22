"""Where BlazePose's landmarks are on our body, and its errors:  python scripts/measure_landmarks.py

Renders subjects who are in no profile's data, detects their landmarks and compares them with the known poses.
Writes d3ke_lib/landmarks/sites.json; some minutes.
"""

import dataclasses
import json
import sys
from typing import NamedTuple

import _cli
import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from d3ke_lib import settings
from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.batch import Batch
from d3ke_lib.data.datasets import FrameSet, sequences
from d3ke_lib.data.synthetic.generate import DataConfig, make
from d3ke_lib.files import write_text
from d3ke_lib.landmarks.features import crop_normalise
from d3ke_lib.landmarks.names import MIRRORED, NAMES
from d3ke_lib.landmarks.networks import load_networks
from d3ke_lib.landmarks.sites import SITES_FILE, DetectorNoise
from d3ke_lib.landmarks.tracking import Landmarks, detect_people

SEED = 77  # of subjects that no profile has
# Segments (right side, or the middle) that a landmark may be fixed to; the best one is taken.
CANDIDATES = {
    **dict.fromkeys(("nose", "eye_inner", "eye", "eye_outer", "ear", "mouth"), ("skull",)),
    "shoulder": ("humerus", "scapula", "thorax"),
    "elbow": ("humerus", "ulna"),
    **dict.fromkeys(("wrist", "pinky", "index", "thumb"), ("radius",)),
    "hip": ("pelvis", "femur_r"),
    "knee": ("femur_r", "tibia_r"),
    "ankle": ("tibia_r", "talus_r"),
    "heel": ("calcn_r",),
    "foot_index": ("toes_r", "calcn_r"),
}
LIMBS = {"arms": range(11, 23), "legs": range(23, 33), "all": range(33)}
HIPS = [NAMES.index("left_hip"), NAMES.index("right_hip")]
NORMAL = 1.4826  # standard deviation over median absolute deviation


class Detected(NamedTuple):
    """Frames with a person found: what is known of them, and the landmarks (frame, 33, …)."""

    truth: Batch
    image: Tensor
    world: Tensor
    visibility: Tensor
    motion: Tensor  # its number
    missing: float


@_cli.command(interrupted="nothing was written")
def main() -> None:
    parser = _cli.parser(__doc__)
    parser.add_argument("--subjects", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    folder = settings.read().out / "landmark_noise" / "data"
    config = DataConfig(seed=SEED, train=options.subjects, validation=0, test=0, seconds=1.0)
    make(config, folder, options.workers)
    found = detect(FrameSet(folder, "train"))
    sites, points = fit_sites(found)
    noise = measure_noise(found, points)
    facts = {
        "about": "scripts/measure_landmarks.py: BlazePose on rendered subjects of known pose",
        "frames": len(found.image),
        "motions": int(found.motion.max()) + 1,
        "sites": sites,
        "noise": dataclasses.asdict(noise),
    }
    write_text(SITES_FILE, json.dumps(rounded(facts), indent=1) + "\n")
    print(f"{SITES_FILE.name}: {len(found.image)} frames, {found.missing:.1%} without a person")


def rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def detect(frames: FrameSet) -> Detected:
    """The landmarks of every motion; of several persons who are found, the one whom the labels are of."""
    networks, labels = load_networks(settings.read().out / "landmarks"), frames.labels()
    parts, motions = [], []
    for number, (start, stop) in enumerate(tqdm(sequences(labels), desc="landmarks", unit="motion")):
        images = frames.load(range(start, stop)).image.permute(0, 2, 3, 1).contiguous().numpy()
        truth = labels[start:stop]
        people = detect_people(networks, images)
        people = people or [nobody(stop - start)]
        parts.append(min(people, key=lambda person, truth=truth: misfit(person, truth)))
        motions += [number] * (stop - start)
    image, world, visibility, valid = (np.concatenate(part) for part in zip(*parts))
    rows = torch.from_numpy(np.flatnonzero(valid))
    tensors = (torch.from_numpy(part)[rows].double() for part in (image, world, visibility))
    truth = labels.each(lambda t: t.double() if t.is_floating_point() else t)[rows]
    return Detected(truth, *tensors, torch.tensor(motions)[rows], 1 - float(valid.mean()))


def nobody(count: int) -> Landmarks:
    shapes = ((count, 33, 2), (count, 33, 3), (count, 33))
    return Landmarks(*(np.full(shape, np.nan) for shape in shapes), np.zeros(count, bool))


def misfit(person: Landmarks, truth: Batch) -> float:
    """Mean distance of the hips' middle from the pelvis joint, px; frames without the person count."""
    points = truth.points.joints[:, 0]
    flat = points[:, :2] / points[:, 2:] * truth.camera.focal + truth.camera.center
    distance = np.linalg.norm(person.image[:, HIPS].mean(1) - flat.numpy(), axis=-1)
    return float(np.nan_to_num(distance, nan=1e3).mean())


# --- sites ------------------------------------------------------------------------------------------------


def fit_sites(found: Detected) -> tuple[dict[str, dict], Float[Tensor, "frame 33 3"]]:
    """Each landmark's segment and offset, and where they truly are in the camera's frame, m."""
    skeleton = default_skeleton().double()
    R, p = skeleton.frames(found.truth.pose)
    p = p + found.truth.points.joints[:, :1]
    ratio = found.truth.pose.scales / skeleton.generic_scales
    axes = R * ratio[..., None, :]  # columns: where the segment's scaled axes are
    sites, points = {}, torch.zeros(len(p), 33, 3, dtype=torch.float64)
    for part, bodies in CANDIDATES.items():
        both = [i for i, name in enumerate(NAMES) if name.split("_", 1)[-1] == part or name == part]
        tried = {body: fit_site(found, axes, p, skeleton.bodies, body, both) for body in bodies}
        body = min(tried, key=lambda body: tried[body][1])
        offset, residual = tried[body]
        for i in both:
            own, mirror = sided(body, NAMES[i])
            place = offset * offset.new_tensor([1.0, 1.0, mirror])
            row = skeleton.bodies.index(own)
            points[:, i] = p[:, row] + axes[:, row] @ place
            sites[NAMES[i]] = {"body": own, "offset_m": place.tolist(), "residual": residual}
    return sites, points


def sided(body: str, landmark: str) -> tuple[str, float]:
    """The landmark's segment, and the sign of its offset to the right; 0 in the middle."""
    if not landmark.startswith(("left", "right")):
        return body, 0.0
    if landmark.startswith("right"):
        return body, 1.0
    own = {"skull": "skull", "pelvis": "pelvis", "thorax": "thorax"}.get(body)
    return own or body.removesuffix("_r") + "_l", -1.0


def fit_site(
    found: Detected, axes: Tensor, p: Tensor, bodies: tuple[str, ...], body: str, landmarks: list[int]
) -> tuple[Float[Tensor, "3"], float]:
    """The offset that brings a site of a segment nearest to the landmarks in the images, and what is left.

    Gauss–Newton with Huber's weights; errors in sizes of the person.
    """
    offset = torch.zeros(3, dtype=torch.float64)
    size = crop_normalise(found.image)[1]
    for _ in range(15):
        normal, right, left = torch.zeros(3, 3).double(), torch.zeros(3).double(), []
        for i in landmarks:
            own, mirror = sided(body, NAMES[i])
            row = bodies.index(own)
            A = axes[:, row] * torch.tensor([1.0, 1.0, mirror])
            x = p[:, row] + A @ offset
            focal = found.truth.camera.focal / size[:, None]
            flat = x[:, :2] / x[:, 2:]
            error = found.image[:, i] - found.truth.camera.center
            error = error / size[:, None] - flat * focal
            slope = focal[..., None] / x[:, 2, None, None] * (A[:, :2] - flat[..., None] * A[:, 2:])
            distance = error.norm(dim=-1)
            weight = (0.05 / distance.clamp(min=0.05)) * (found.visibility[:, i] > 0.5)
            normal += torch.einsum("n,nij,nik->jk", weight, slope, slope)
            right += torch.einsum("n,nij,ni->j", weight, slope, error)
            left.append(distance[found.visibility[:, i] > 0.5])
        offset = offset + torch.linalg.solve(normal + 1e-6 * torch.eye(3).double(), right)
    return offset, float(torch.cat(left).median())


# --- noise ------------------------------------------------------------------------------------------------


def measure_noise(found: Detected, points: Float[Tensor, "frame 33 3"]) -> DetectorNoise:
    flat = points[..., :2] / points[..., 2:] * found.truth.camera.focal[:, None]
    flat = flat + found.truth.camera.center[:, None]
    size = crop_normalise(flat)[1][:, None, None]
    swaps, image, world = unswapped(found, flat)
    error = (image - flat) / size
    error = error - error.mean(1, keepdim=True)  # the crop moves with the landmarks
    world, scale, rotation = aligned(world, points)
    seen = found.visibility >= 0.5
    slow, fast = split_errors(error, found.motion)
    world_slow, world_fast = split_errors(world, found.motion)
    deviation = spread(error.masked_fill(~seen[..., None], torch.nan))
    share = error.abs().mean(-1) / deviation.mean(-1)
    outlying = (share > 4) & seen
    return DetectorNoise(
        image_slow=spread(slow).mean(-1).tolist(),
        image_fast=spread(fast).mean(-1).tolist(),
        world_slow=spread(world_slow).tolist(),
        world_fast=spread(world_fast).tolist(),
        hidden=(~seen).double().mean(0).tolist(),
        hidden_factor=float(share[~seen].median() / share[seen].median()),
        outliers=float(outlying.sum() / seen.sum()),
        outlier_factor=float(share[outlying].median()),
        swaps=swaps,
        missing=found.missing,
        world_scale=[float(scale.median()), float(spread(scale[:, None]))],
        world_rotation=spread(rotation).tolist(),
        correlation=autocorrelation(fast, found.motion),
    )


def spread(values: Float[Tensor, "frame *rest"]) -> Float[Tensor, "*rest"]:
    """The standard deviation by the median of absolute values about the median; NaN left out."""
    middle = values.nanmedian(0).values
    return NORMAL * (values - middle).abs().nanmedian(0).values


def split_errors(error: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of each motion, and what is left around it."""
    count = torch.bincount(motion).double().clamp(min=1)
    mean = error.new_zeros(len(count), *error.shape[1:]).index_add(0, motion, error)
    mean = mean / count.view(-1, *[1] * (error.ndim - 1))
    return mean[count > 5], error - mean[motion]


def autocorrelation(fast: Tensor, motion: Tensor) -> float:
    same = motion[1:] == motion[:-1]
    a, b = fast[:-1][same], fast[1:][same]
    keep = (a.abs() < 0.2) & (b.abs() < 0.2)
    return float((a * b)[keep].sum() / (a.square() + b.square())[keep].sum() * 2)


def unswapped(found: Detected, flat: Tensor) -> tuple[dict[str, float], Tensor, Tensor]:
    """How often the sides are exchanged, and the landmarks with that undone."""
    image, world, shares = found.image.clone(), found.world.clone(), {}
    for limb, rows in reversed(LIMBS.items()):
        rows, other = list(rows), [MIRRORED[i] for i in rows]
        here, there = ((image[:, r] - flat[:, rows]).norm(dim=-1).mean(1) for r in (rows, other))
        swapped = there < 0.6 * here
        shares[limb] = float(swapped.double().mean())
        for part in (image, world):
            part[:, rows] = torch.where(swapped[:, None, None], part[:, other], part[:, rows])
    return shares, image, world


def aligned(world: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors in 3-D (m) without the detector's factor of size and its rotation, which come next."""
    true = points - points[:, HIPS].mean(1, keepdim=True)
    found = world - world[:, HIPS].mean(1, keepdim=True)
    R, _, scale = roma.rigid_points_registration(true, found, compute_scaling=True)
    there = scale[:, None, None] * (true @ R.mT)
    return (found - there) / scale[:, None, None], scale, roma.rotmat_to_rotvec(R)


if __name__ == "__main__":
    sys.exit(main())
