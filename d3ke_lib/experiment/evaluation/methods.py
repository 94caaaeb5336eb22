"""What predicts poses, by name, and which of them are compared."""

from collections.abc import Sequence
from typing import NamedTuple

from d3ke_lib.experiment.evaluation.references import ACTION_MEAN, MEAN_POSE, MEDIAN_POSE


class Method(NamedTuple):
    """What predicts; `kind` is frame, temporal, another's or the name of a reference.

    variant: what its frame network differs in from the profile's recipe, None: in nothing.
    """

    kind: str
    backbone: str | None = None
    seed: int | None = None
    refiner: str | None = None
    variant: str | None = None

    @property
    def network(self) -> str | None:
        """The frame network: backbone and variant."""
        return f"{self.backbone}@{self.variant}" if self.variant else self.backbone

    @property
    def setting(self) -> str:
        """Its name without the seed."""
        network = ".".join(part for part in (self.refiner, self.network) if part)
        return f"{self.kind}/{network}" if network else self.kind

    @property
    def name(self) -> str:
        """Its run's folder within the profile's, where it has one."""
        return self.setting if self.seed is None else f"{self.setting}.{self.seed}"


def pairs(methods: Sequence[Method]) -> list[tuple[Method, Method]]:
    """What is compared, (first, second), without seeds.

    The first network and the others; variants of its backbone and the other backbones; each frame network
    and its refinements; the refined first network and the others alone; other kinds of method and the frame
    network of their backbone; mean pose, median pose and mean pose of the action, and every network.
    """
    networks = list(dict.fromkeys((m.backbone, m.variant) for m in methods if m.backbone))
    refiners = list(dict.fromkeys(method.refiner for method in methods if method.refiner))
    frame = {network: Method("frame", network[0], variant=network[1]) for network in networks}
    refined = {(r, n): frame[n]._replace(kind="temporal", refiner=r) for r in refiners for n in networks}
    others = [m for m in methods if m.backbone and m.kind not in ("frame", "temporal")]
    first, following = networks[0], networks[1:]
    between = [(frame[first], frame[other]) for other in following]
    between += [(refined[r, first], refined[r, other]) for r in refiners for other in following]
    variants = [n for n in following if n[1] and n[0] == first[0]]
    equal = [(frame[variant], frame[n]) for variant in variants for n in following if not n[1]]
    refining = [(frame[n], refined[r, n]) for n in networks for r in refiners]
    crossed = [(refined[r, first], frame[other]) for r in refiners for other in following]
    against = [(other, frame[other.backbone, other.variant]) for other in others]
    references = [Method(name) for name in (MEAN_POSE, MEDIAN_POSE, ACTION_MEAN)]
    learned = [
        (one, network) for one in references for network in (*frame.values(), *refined.values(), *others)
    ]
    return [*between, *equal, *refining, *crossed, *against, *learned]
