"""Frozen dataclasses ↔ JSON values, strictly: an unknown field is an error, never a silent default."""

import dataclasses
import hashlib
import json
import math
import types
import typing
from typing import Any, TypeVar

from d3ke_lib.files import D3keError

T = TypeVar("T")


def to_values(config: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, down to what JSON knows."""
    if dataclasses.is_dataclass(config):
        return {field.name: to_values(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, (tuple, list)):
        return [to_values(value) for value in config]
    if isinstance(config, dict):
        return {str(key): to_values(value) for key, value in config.items()}
    return config


def from_values(kind: type[T], values: dict[str, Any]) -> T:
    """The dataclass `kind` from a dict; absent fields take their defaults.

    Raises D3keError for unknown fields (naming the known ones) and for values of another type.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(set(values) - set(known)):
        raise D3keError(f"{kind.__name__} has no field {', '.join(unknown)}; known: {', '.join(known)}")
    hints = typing.get_type_hints(kind)
    given = {name: _value(hints[name], value, f"{kind.__name__}.{name}") for name, value in values.items()}
    try:
        return kind(**given)
    except TypeError as error:
        raise D3keError(f"{kind.__name__}: {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_values(hint, value)
    if origin in (typing.Union, types.UnionType):
        return _either(inner, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        repeated = inner[-1:] == (Ellipsis,)
        if not repeated and len(inner) != len(value):
            raise D3keError(f"{where}: expected {len(inner)} values, found {len(value)}")
        kinds = inner[:1] * len(value) if repeated else inner
        return tuple(_value(each, item, f"{where}[{i}]") for i, (each, item) in enumerate(zip(kinds, value)))
    if origin is typing.Literal:
        if value not in inner:
            raise D3keError(f"{where}: unknown {value!r}; known: {', '.join(map(str, inner))}")
        return value
    return _plain(hint, value, where)


def _either(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    known = [kind for kind in kinds if kind is not type(None)]
    return _value(next((kind for kind in known if _fits(kind, value)), known[0]), value, where)


def _fits(kind: Any, value: Any) -> bool:
    """Whether a value is meant to be this one of several dataclasses."""
    if not dataclasses.is_dataclass(kind):
        return False
    fields = {field.name for field in dataclasses.fields(kind)}
    return isinstance(value, kind) or (isinstance(value, dict) and {*value} <= fields)


def _plain(hint: Any, value: Any, where: str) -> Any:
    accepted = (int, float) if hint is float else hint
    wrong = not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool)
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        raise D3keError(f"{where}: expected {getattr(hint, '__name__', hint)}, found {value!r}")
    return value


def check_types(config: Any) -> None:
    """For `__post_init__`: every field's value against its annotation; raises D3keError as `from_values`."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        _value(hints[field.name], getattr(config, field.name), f"{type(config).__name__}.{field.name}")


def check_known(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise D3keError(f"unknown {what} {value!r}; known: {', '.join(known)}")


def check_positive(config: Any, *names: str) -> None:
    for name in names:
        if (value := getattr(config, name)) < 1:
            raise D3keError(f"{type(config).__name__}.{name} must be 1 or more, found {value}")


def fingerprint(*parts: Any) -> str:
    """SHA-256 of configurations, hashes and numbers: equal for equal content, whatever wrote it.

    Left out are fields marked `metadata={"how": True}`: how a run is carried out, not what results.
    """
    text = json.dumps([_identity(part) for part in parts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _identity(config: Any) -> Any:
    if dataclasses.is_dataclass(config):
        fields = [field for field in dataclasses.fields(config) if not field.metadata.get("how")]
        return {field.name: _identity(getattr(config, field.name)) for field in fields}
    if isinstance(config, (tuple, list)):
        return [_identity(value) for value in config]
    return config
