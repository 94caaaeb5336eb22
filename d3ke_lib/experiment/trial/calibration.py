"""Calibrated cameras from Qualisys' calibration file (.qca.txt, XML).

Lengths are mm, the world's z is up, a transform's rows are the camera's axes with y up and z backwards, and
intrinsics are in 1/64 px. World here is OpenSim's ground: m, y up.
"""

import math
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import torch
from defusedxml import DefusedXmlException
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.data.camera import Camera, from_pixels, to_camera
from d3ke_lib.files import D3keError

_SUBPIXELS = 64.0
_ITERATIONS = 5  # of the tangential distortion, which moves a point by less than a thousandth
_ROUNDING = 1e-3  # of a rotation's rows
_FARTHEST = 100.0  # m from the origin: more is a file in another unit
_PADDING = 16  # px, right and below: H.264 stores whole blocks, which some files' headers cut off again
_TO_IMAGE = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
_R_world_ground = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)


class CalibratedCamera(NamedTuple):
    """A camera in OpenSim's ground; `size` (width, height) in px, `tangential` are OpenCV's p1, p2."""

    name: str
    camera: Camera
    tangential: Float[Tensor, "2"]
    size: tuple[int, int]

    @property
    def centre(self) -> Float[Tensor, "3"]:
        """Where the camera is, m in ground."""
        return -self.camera.R.T @ self.camera.t


def read_calibration(path: Path) -> tuple[CalibratedCamera, ...]:
    """The cameras in the order of the file, float64.

    Raises D3keError naming file, camera, attribute, what was expected and what was found.
    """
    try:
        root = defusedxml.ElementTree.parse(path).getroot()
    except (ParseError, DefusedXmlException, UnicodeDecodeError) as error:
        raise D3keError(f"{path}: expected Qualisys' calibration as XML, found {error}") from None
    elements = root.findall("cameras/camera")
    if root.tag != "calibration" or not elements:
        raise D3keError(f"{path}: expected <calibration> with <cameras>, found <{root.tag}>")
    cameras = tuple(_read_camera(element, path) for element in elements)
    names = [camera.name for camera in cameras]
    if len(set(names)) < len(names):
        raise D3keError(f"{path}: expected cameras with names of their own, found {', '.join(names)}")
    return cameras


def _read_camera(element: Element, path: Path) -> CalibratedCamera:
    name = element.get("serial", "")
    source = f"{path}: camera {name!r}"
    transform, intrinsic, view = (
        _child(element, tag, source) for tag in ("transform", "intrinsic", "fov_video")
    )
    rows = [[_number(transform, f"r{i}{j}", source) for j in (1, 2, 3)] for i in (1, 2, 3)]
    R = torch.tensor(rows, dtype=torch.float64)
    position = torch.tensor([_number(transform, axis, source) for axis in "xyz"], dtype=torch.float64) / 1e3
    _check_pose(R, position, source)
    R_camera_world = _TO_IMAGE @ R
    focal, center = (
        [_number(intrinsic, f"{what}{axis}", source) / _SUBPIXELS for axis in "UV"]
        for what in ("focalLength", "centerPoint")
    )
    radial, tangential = (
        [_number(intrinsic, f"{kind}Distortion{i}", source) for i in (1, 2)]
        for kind in ("radial", "tangental")  # sic
    )
    edges = {edge: int(_number(view, edge, source)) for edge in ("left", "right", "top", "bottom")}
    size = (edges["right"] - edges["left"] + 1, edges["bottom"] - edges["top"] + 1)
    _check_intrinsics(focal, center, size, source)
    numbers = (torch.tensor(each, dtype=torch.float64) for each in (focal, center, radial))
    camera = Camera(R_camera_world @ _R_world_ground, -R_camera_world @ position, *numbers)
    return CalibratedCamera(name, camera, torch.tensor(tangential, dtype=torch.float64), size)


def _child(element: Element, tag: str, source: str) -> Element:
    if (found := element.find(tag)) is None:
        raise D3keError(f"{source}: expected <{tag}>, found none")
    return found


def _number(element: Element, attribute: str, source: str) -> float:
    text = element.get(attribute, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise D3keError(f"{source}: <{element.tag}> {attribute}: expected a number, found {text!r}")
    return value


def _check_pose(R: Tensor, position: Tensor, source: str) -> None:
    off = float((R @ R.T - torch.eye(3, dtype=R.dtype)).abs().max())
    if off > _ROUNDING or float(torch.linalg.det(R)) < 0:
        raise D3keError(f"{source}: expected a rotation in r11 … r33, found rows off by {off:.3g}")
    if (distance := float(position.norm())) > _FARTHEST:
        raise D3keError(f"{source}: expected a position in mm within {_FARTHEST:g} m, found {distance:.0f} m")


def _check_intrinsics(focal: list[float], center: list[float], size: tuple[int, int], source: str) -> None:
    if min(focal) <= 0.1 * max(size) or max(focal) > 20 * max(size):
        raise D3keError(f"{source}: expected a focal length in 1/64 px, found {focal[0]:g} px for {size} px")
    if not all(0 < at < side for at, side in zip(center, size)):
        raise D3keError(f"{source}: expected a principal point within {size} px, found {center}")


def check_video(camera: CalibratedCamera, size: tuple[int, int], path: Path) -> None:
    """Raises D3keError where a video (width, height) is not what the camera was calibrated for."""
    cut = [own - shown for own, shown in zip(camera.size, size)]
    if not all(0 <= each < _PADDING for each in cut):
        raise D3keError(
            f"{path}: expected {camera.size[0]}×{camera.size[1]} px, as camera {camera.name} is calibrated, "
            f"found {size[0]}×{size[1]}"
        )


def to_plane(camera: CalibratedCamera, px: Float[Tensor, "*batch n 2"]) -> Float[Tensor, "*batch n 2"]:
    """Px → normalised coordinates (x/z, y/z), all distortion undone."""
    pinhole = camera.camera
    target = (px - pinhole.center) / pinhole.focal
    plane = from_pixels(pinhole, px)
    for _ in range(_ITERATIONS):
        bent = target - _tangential(camera.tangential, plane)
        plane = from_pixels(pinhole, bent * pinhole.focal + pinhole.center)
    return plane


def project(camera: CalibratedCamera, ground: Float[Tensor, "*batch n 3"]) -> Float[Tensor, "*batch n 2"]:
    """Px of points in ground (m), in front of the camera."""
    pinhole, seen = camera.camera, to_camera(camera.camera, ground)
    plane = seen[..., :2] / seen[..., 2:]
    squared = plane.square().sum(-1, keepdim=True)
    k1, k2 = pinhole.distortion
    bent = plane * (1 + squared * (k1 + k2 * squared)) + _tangential(camera.tangential, plane)
    return bent * pinhole.focal + pinhole.center


def _tangential(p: Float[Tensor, "2"], plane: Float[Tensor, "*batch n 2"]) -> Float[Tensor, "*batch n 2"]:
    """OpenCV's tangential (decentring) distortion, normalised coordinates."""
    x, y = plane.unbind(-1)
    squared = plane.square().sum(-1)
    across = 2 * p[0] * x * y + p[1] * (squared + 2 * x * x)
    down = p[0] * (squared + 2 * y * y) + 2 * p[1] * x * y
    return torch.stack([across, down], -1)
