"""What predicts poses, by name, and which of them are compared."""

from collections.abc import Sequence
from typing import NamedTuple

from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, MEAN_POSE, MEDIAN_POSE
from d3ke_lib.experiment.run.cells import variant_of


class Method(NamedTuple):
    """What predicts; `kind` is frame, temporal, another's or the name of a reference.

    backbone: <backbone>@<variant> where its frame network was trained by another recipe than the profile's.
    """

    kind: str
    backbone: str | None = None
    seed: int | None = None
    refiner: str | None = None

    @property
    def setting(self) -> str:
        """Its name without the seed."""
        network = ".".join(part for part in (self.refiner, self.backbone) if part)
        return f"{self.kind}/{network}" if network else self.kind

    @property
    def name(self) -> str:
        """Its run's folder within the profile's, where it has one."""
        return self.setting if self.seed is None else f"{self.setting}.{self.seed}"


def pairs(methods: Sequence[Method]) -> list[tuple[Method, Method]]:
    """What is compared, (first, second), without seeds.

    The first backbone and the others; variants of the first and the other backbones; each frame network and
    its refinements; the refined first backbone and the others alone; other kinds of method and the frame
    network of their backbone; mean pose, median pose and mean pose of the action, and every network.
    """
    backbones = list(dict.fromkeys(method.backbone for method in methods if method.backbone))
    refiners = list(dict.fromkeys(method.refiner for method in methods if method.refiner))
    frame = {backbone: Method("frame", backbone) for backbone in backbones}
    refined = {(r, b): Method("temporal", b, None, r) for r in refiners for b in backbones}
    others = [m for m in methods if m.backbone and m.kind not in ("frame", "temporal")]
    if not backbones:
        return []
    first, following = backbones[0], backbones[1:]
    variants = [b for b in following if variant_of(b) and b.startswith(f"{first}@")]
    between = [(frame[first], frame[other]) for other in following]
    between += [(refined[r, first], refined[r, other]) for r in refiners for other in following]
    equal = [(frame[v], frame[other]) for v in variants for other in following if not variant_of(other)]
    refining = [(frame[b], refined[r, b]) for b in backbones for r in refiners]
    crossed = [(refined[r, first], frame[other]) for r in refiners for other in following]
    against = [(other, frame[other.backbone]) for other in others]
    references = [Method(name) for name in (MEAN_POSE, MEDIAN_POSE, ACTION_MEAN)]
    networks = (*frame.values(), *refined.values(), *others)
    learned = [(reference, network) for reference in references for network in networks]
    return [*between, *equal, *refining, *crossed, *against, *learned]
