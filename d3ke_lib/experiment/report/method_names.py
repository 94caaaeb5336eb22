"""How methods of results.json are ordered and called where people read them."""

import re
from typing import Any

SHORT = {"resnext50_32x4d": "ResNeXt-50", "resnext101_32x8d": "ResNeXt-101"}


def methods_of(results: dict[str, Any]) -> list[str]:
    """The file sorts by name; people see the simplest method first, backbones as the profile lists them."""
    backbones = results["profile"]["backbones"]

    def rank(name: str) -> tuple:
        method = results["methods"][name]
        kind = ("mean pose", "frame", "temporal").index(method["kind"])
        return kind, method["refiner"], backbones.index(method["backbone"]) if kind else 0, method["seed"]

    return sorted(results["methods"], key=rank)


def settings_of(results: dict[str, Any]) -> list[str]:
    """The methods without their seeds, in the same order."""
    return list(dict.fromkeys(setting_of(name) for name in methods_of(results)))


def label(setting: str) -> str:
    """E.g. "temporal/transformer.resnext50_32x4d" → "ResNeXt-50 + transformer"."""
    parts = setting.partition("/")[2].split(".")
    backbone = SHORT.get(parts[-1]) or re.sub(r"resnext(\d+)_(\d+)x(\d+)d", r"ResNeXt-\1 \2×\3d", parts[-1])
    return setting if not backbone else " + ".join([backbone, *parts[:-1]])


def setting_of(method: str) -> str:
    """A method's name without its seed."""
    return method.rpartition(".")[0] or method
