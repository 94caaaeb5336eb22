"""How methods of results.json are ordered and what readers see them called."""

import re
from typing import Any

from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, REFERENCES

SHORT = {"resnext50_32x4d": "ResNeXt-50", "resnext101_32x8d": "ResNeXt-101"}


def methods_of(results: dict[str, Any]) -> list[str]:
    """The file sorts by name; readers see the simplest method first, backbones as the profile lists them."""
    backbones, kinds = results["profile"]["backbones"], (*REFERENCES, "frame", "temporal")

    def rank(name: str) -> tuple:
        method = results["methods"][name]
        backbone = method["backbone"]
        place = backbones.index(backbone) if backbone else 0
        return kinds.index(method["kind"]), method["refiner"], place, method["seed"]

    return sorted(results["methods"], key=rank)


def settings_of(results: dict[str, Any]) -> list[str]:
    """The methods without their seeds, in the same order."""
    return list(dict.fromkeys(setting_of(name) for name in methods_of(results)))


def label(setting: str) -> str:
    """E.g. "temporal/transformer.resnext50_32x4d" → "ResNeXt-50 + transformer"."""
    if setting == ACTION_MEAN:
        return f"{setting}, told"
    parts = setting.partition("/")[2].split(".")
    backbone = SHORT.get(parts[-1]) or re.sub(r"resnext(\d+)_(\d+)x(\d+)d", r"ResNeXt-\1 \2×\3d", parts[-1])
    return setting if not backbone else " + ".join([backbone, *parts[:-1]])


def setting_of(method: str) -> str:
    """A method's name without its seed."""
    return method.rpartition(".")[0] or method
