"""Values of a TOML file in place of a profile's: `make reproduce P=bmlmovi OVERRIDES=tiny.toml`.

    backbones = ["resnext50_32x4d"]
    [frame]
    images = 48
    weights = "none"

Tables and keys are the configuration's fields; "none" is Python's None, which TOML does not have.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from d3ke_lib.experiment.run.codec import from_values, to_values
from d3ke_lib.files import D3keError

T = TypeVar("T")


def apply(profile: T, path: Path | None) -> T:
    """The profile with the file's values, named `<profile>.<file>` so that it has a folder of its own.

    Raises D3keError naming the file and the field that is unknown or has another type.
    """
    if path is None:
        return profile
    try:
        merged = _merge(to_values(profile), tomllib.loads(path.read_text(encoding="utf-8")))
        changed = from_values(type(profile), merged)
    except FileNotFoundError:
        raise D3keError(f"{path}: expected a TOML file of overrides, found no file") from None
    except ValueError as error:
        raise D3keError(f"{path}: {error}") from None
    return dataclasses.replace(changed, name=f"{profile.name}.{path.stem}")


def replace(config: T, changes: dict[str, Any]) -> T:
    """`config` with other values; D3keError for unknown fields and values of another type."""
    return from_values(type(config), _merge(to_values(config), changes))


def _merge(values: Any, changes: Any) -> Any:
    if isinstance(values, dict) and isinstance(changes, dict):
        return values | {key: _merge(values.get(key), changed) for key, changed in changes.items()}
    return None if changes == "none" else changes
