"""Portable arithmetic is right, all that records are made with, and the same bytes on any processor."""

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from d3ke_lib.data import records
from d3ke_lib.data.portable import mode
from d3ke_lib.data.portable.mode import Portable, portable
from d3ke_lib.data.seeds import seed_generator
from d3ke_lib.data.synthetic import generate
from d3ke_lib.data.synthetic.generate import DataConfig

ROOT = Path(__file__).parents[2]
ONE = DataConfig(
    train=1, validation=0, test=0, actions=("sitting_down",), seconds=0.1, fps=10.0, px=24, margin=1.2
)
# As on a processor without wide registers and fused multiply-adds, with the library's oldest code paths.
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "OPENBLAS_CORETYPE": "Prescott",
    "JSIMD_FORCENONE": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
}


def draw(*shape: int, low: float = -10.0, high: float = 10.0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=seed_generator(1, *shape), dtype=torch.float64)


A, B, POSITIVE = draw(40, 7), draw(7, 30), draw(50, low=1e-9, high=30.0)
OPERATIONS = {
    "sine": lambda: torch.sin(100 * A),
    "cosine": lambda: torch.cos(100 * A),
    "exponential": lambda: torch.exp(A),
    "logarithm": lambda: torch.log(POSITIVE),
    "tanh": lambda: torch.tanh(A / 3),
    "root": lambda: torch.cat([POSITIVE, torch.zeros(1).double()]).sqrt(),
    "cube root": lambda: POSITIVE ** (1 / 3),
    "square": lambda: A**2,
    "sum": lambda: A.sum(0) + A.sum() + A[:, :1].sum(1).mean(),
    "mean": lambda: A.mean(1, keepdim=True),
    "product of a row": lambda: A[:, :3].prod(-1),
    "matrix product": lambda: A @ B,
    "batch of matrix products": lambda: A.view(8, 5, 7) @ B,
    "matrix and vector": lambda: A @ B[:, 0],
    "weighted sum": lambda: torch.einsum("tp,ptc->tc", A, draw(7, 40, 3)),
    "multiply and add": lambda: torch.addcmul(A, A, A, value=0.3),
    "add a multiple": lambda: torch.add(A, A * A, alpha=0.1),
    "mix": lambda: torch.lerp(A, A * A, 0.2),
    "norm": lambda: A.norm(dim=-1),
    "unit vectors": lambda: F.normalize(A[:, :3], dim=-1),
    "cross product": lambda: torch.linalg.cross(A[:, :3], A[:, 3:6]),
    "distances": lambda: torch.cdist(A, A + 1),
    "softmax": lambda: A.softmax(-1),
    "logarithm of a sum": lambda: torch.logsumexp(A, -1),
    "linear equations": lambda: torch.linalg.solve(A[:7], B),
    "one column": lambda: torch.linalg.solve(A[:7], B[:, 0]),
    "evenly spaced": lambda: torch.linspace(0.1, 0.9, 33, dtype=torch.float64),
    "enlarged": lambda: F.interpolate(A[None, None], (55, 31), mode="bilinear"),
    "sampled": lambda: F.grid_sample(A[None, None], draw(1, 9, 9, 2) / 9, align_corners=False),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_the_librarys(name):
    expected, found = OPERATIONS[name](), portable(OPERATIONS[name])()
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11, check_stride=False)


def test_normal_numbers_are_normal_and_a_generators():
    found = portable(torch.randn)(20000, generator=seed_generator(3))
    again = portable(torch.randn)(20000, generator=seed_generator(3))
    assert torch.equal(found, again)
    assert found.mean().abs() < 0.02
    assert abs(found.std() - 1) < 0.02
    assert abs((found.abs() < 1).float().mean() - math.erf(math.sqrt(0.5))) < 0.01


def test_a_sum_shares_no_memory_with_what_it_sums():
    row = torch.ones(1, 3)
    portable(lambda: row.sum(0).zero_())()
    assert row.sum() == 3


def test_what_is_not_replaced_is_noticed():
    with Portable() as arithmetic:
        torch.atan2(A, A)
    assert arithmetic.others == {"atan2"}


def make_tiny() -> str:
    """A hash of the labels, in float64 before they are rounded, and of the JPEGs of two looks."""
    found = hashlib.sha256()
    for shots in generate.make_takes(ONE, (1, ("R1", "H1"))):
        for columns, images, quality in shots.values():
            for value in columns.values():
                found.update(value.numpy().tobytes() if torch.is_tensor(value) else repr(value).encode())
            for jpeg in records.encode(images, quality):
                found.update(jpeg)
    return found.hexdigest()


@pytest.fixture(scope="module")
def tiny(people_folder) -> tuple[str, set[str]]:
    """`make_tiny` here, and the operations that it took besides portable ones."""
    assert people_folder.is_dir()
    others: set[str] = set()

    class Watched(Portable):
        def __exit__(self, *error: object) -> None:
            others.update(self.others)
            super().__exit__(*error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mode, "Portable", Watched)
        return make_tiny(), others


def test_records_are_made_of_portable_operations_alone(tiny):
    assert tiny[1] == set()


def test_records_are_the_same_bytes_on_another_processor(tiny, people_folder):
    code = "import torch, test_portable; torch.set_num_threads(1); print(test_portable.make_tiny())"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    environment = os.environ | OLD_PROCESSOR | {"PYTHONPATH": paths, "D3KE_PEOPLE": str(people_folder)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.split()[-1] == tiny[0]
