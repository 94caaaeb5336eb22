"""How methods of results.json are ordered and what readers see them called."""

import re
from collections.abc import Iterable
from typing import Any

from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, REFERENCES

SHORT = {"resnext50_32x4d": "ResNeXt-50", "resnext101_32x8d": "ResNeXt-101"}
EQUAL_COMPUTE, MULTI_STEP = "equal_compute", "points"  # variants that the answer speaks of
_VARIANTS = {EQUAL_COMPUTE: "{}, equal compute", MULTI_STEP: "multi-step, {}"}


def methods_of(results: dict[str, Any]) -> list[str]:
    """The file sorts by name; readers see the simplest method first, backbones as the profile lists them."""
    methods = results["methods"]
    kinds = _ordered([*REFERENCES, "frame", "temporal"], (method["kind"] for method in methods.values()))
    backbones = _ordered(results["profile"]["backbones"], (m["backbone"] or "" for m in methods.values()))

    def rank(name: str) -> tuple:
        method = methods[name]
        backbone = method["backbone"] or ""
        return kinds[method["kind"]], method["refiner"] or "", backbones[backbone], method["seed"]

    return sorted(methods, key=rank)


def _ordered(first: Iterable[str], others: Iterable[str]) -> dict[str, int]:
    """Name → rank; names that `first` does not have come after it."""
    return {name: rank for rank, name in enumerate(dict.fromkeys([*first, *sorted(set(others))]))}


def settings_of(results: dict[str, Any]) -> list[str]:
    """The methods without their seeds, in the same order."""
    return list(dict.fromkeys(setting_of(name) for name in methods_of(results)))


def is_reference(setting: str) -> bool:
    """Whether nothing of it was trained on images."""
    return "/" not in setting


def label(setting: str) -> str:
    """E.g. "temporal/transformer.resnext50_32x4d@subjects_12" → "ResNeXt-50, 12 subjects + transformer"."""
    if is_reference(setting):
        return f"{setting}, told" if setting == ACTION_MEAN else setting
    *refiner, network = setting.partition("/")[2].split(".")
    name, _, variant = network.partition("@")
    backbone = SHORT.get(name) or re.sub(r"resnext(\d+)_(\d+)x(\d+)d", r"ResNeXt-\1 \2×\3d", name)
    backbone = re.sub(r"^resnet(\d+)$", r"ResNet-\1", backbone)
    if variant:
        words = re.sub(r"([a-z]+)_(\d+)", r"\2 \1", variant).replace("_", " ")
        backbone = _VARIANTS.get(variant, f"{{}}, {words}").format(backbone)
    return " + ".join([backbone, *refiner])


def setting_of(method: str) -> str:
    """A method's name without its seed."""
    return method.rpartition(".")[0] or method
