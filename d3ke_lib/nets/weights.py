"""Weights on disk → a module: read without running code, fit strictly, start from a seed."""

import hashlib
import pickle  # its error's name, no more
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Weights made inside come from `seed`; the generator outside is left as it was.  None: use that one."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):  # networks are initialised on the CPU: no other device is touched
        torch.default_generator.manual_seed(seed)
        yield


def read(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """State dict in a .safetensors or .pth/.pt file, on the CPU.

    `sha256`: the expected digest, or its first digits.  Never unpickles code.
    Raises FileNotFoundError, or ValueError for another suffix, another digest, a file that is cut off, that
    holds code, or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of weights")
    if sha256 is not None:
        _check_digest(path, sha256)
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise ValueError(f"{path}: weights end in .safetensors, .pth or .pt")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).replace("\n", " ")
        raise ValueError(
            f"{path}: holds more than tensors, and no code is run (weights only): {reason}"
        ) from None
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path}: not a whole file of weights: {error}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path}: expected a dict of tensors, found something else at the top level")
    return dict(state)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, whatever file they are in and however laid out."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def fit(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy `state` into `module`; missing, unexpected and misshapen keys are a ValueError that names them."""
    own = module.state_dict()
    faults = misfits({key: tuple(value.shape) for key, value in own.items()}, state)
    if faults:
        raise ValueError(f"{source}: weights do not fit {type(module).__name__}: " + "; ".join(faults))
    module.load_state_dict(dict(state), strict=True)


def misfits(shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor]) -> list[str]:
    """What keeps `state` from filling entries of these `shapes`, a phrase a kind of fault."""
    missing = sorted(shapes.keys() - state.keys())
    unexpected = sorted(state.keys() - shapes.keys())
    misshapen = [
        f"{key} (expected {shapes[key]}, found {tuple(state[key].shape)})"
        for key in sorted(shapes.keys() & state.keys())
        if shapes[key] != tuple(state[key].shape)
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    return [f"{len(keys)} {kind}: {_few(keys)}" for kind, keys in kinds.items() if keys]


def _few(keys: list[str], shown: int = 8) -> str:
    return ", ".join(keys[:shown]) + (f", … {len(keys) - shown} more" if len(keys) > shown else "")


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not expected or not found.startswith(expected.lower()):
        raise ValueError(
            f"{path}: sha256 is {found}, expected {expected}: the file is incomplete or another one"
        )
