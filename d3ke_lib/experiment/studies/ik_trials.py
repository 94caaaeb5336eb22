"""Trials of inverse kinematics whose truth is known: motions, their markers, errors of solutions."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.pose import Pose

RATE = 60.0  # Hz
_NOISE = 2e-3  # m per axis


def trajectory(skeleton: Skeleton, frames: int, width: float, seed: int) -> Float[Tensor, "frame coord"]:
    """Three sinusoids up to 1 Hz per coordinate, within `width` of its half range about the middle."""
    draws = np.random.default_rng(seed)
    count = len(skeleton.coordinates)
    time_ = np.arange(frames)[:, None, None] / RATE
    hertz, phase = draws.uniform(0.1, 1.0, (count, 3)), draws.uniform(0, 2 * math.pi, (count, 3))
    share = draws.uniform(0, 1, (count, 3))
    share /= share.sum(1, keepdims=True)
    wave = (share * np.sin(2 * math.pi * hertz * time_ + phase)).sum(-1)
    low, high = skeleton.ranges.double().numpy().T
    whole = high - low > 10  # whole turns and rooms: about 0, within 1 rad or m
    middle, half = np.where(whole, 0, (low + high) / 2), np.where(whole, 1.0, (high - low) / 2)
    return torch.from_numpy(middle + width * half * wave).float()


def observed(skeleton: Skeleton, angles: Tensor, missing: float, seed: int) -> tuple[Tensor, Tensor]:
    """Clean markers, and the same with 2 mm noise per axis and gaps."""
    draws = torch.Generator().manual_seed(seed)
    clean = skeleton(Pose(angles, skeleton.generic_scales)).markers
    noisy = clean + _NOISE * torch.randn(clean.shape, generator=draws)
    noisy[torch.rand(clean.shape[:2], generator=draws) < missing] = torch.nan
    return clean, noisy


def evaluate_angles(
    skeleton: Skeleton, angles: Tensor, truth: Tensor, clean: Tensor, free: list[int]
) -> dict:
    """Marker RMS to clean, mm; angle RMSE, degrees: over all, mean and median of coordinates."""
    off = skeleton(Pose(angles, skeleton.generic_scales)).markers - clean
    by_coordinate = (angles - truth)[:, free].square().mean(0).sqrt() * 180 / math.pi
    return {
        "marker_rms_mm": float(off.square().sum(-1).mean().sqrt()) * 1e3,
        "angle_rmse_deg": float(by_coordinate.square().mean().sqrt()),
        "angle_rmse_mean_deg": float(by_coordinate.mean()),
        "angle_rmse_median_deg": float(by_coordinate.median()),
    }


def rotations_of(skeleton: Skeleton) -> list[int]:
    """Rotations that follow no coupler and no lock."""
    body = skeleton.body
    tied = {c.dependent for c in body.couplers if c.enforced}
    slides = {a.coordinate for j in body.joints for a in j.translations}
    locked = {c.name for c in body.coordinates if c.locked}
    return [i for i, name in enumerate(skeleton.coordinates) if name not in tied | slides | locked]
