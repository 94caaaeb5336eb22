"""Groups of test frames for which every result is given, next to all frames together."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from d3ke_lib.data.datasets import FrameSet
from d3ke_lib.data.synthetic.mixtures import MIXTURE

SEEN, UNSEEN, MIXTURES = "seen actions", "unseen actions", "mixtures"


def find_conditions(test: FrameSet, trained: Sequence[str]) -> dict[str, Bool[Tensor, " frame"]]:
    """Condition → its frames: actions that training lacks, the others, mixtures alone, and each camera.

    trained: the actions of the training subjects. Left out: what holds for no or for every frame, or is
    missing for some subject, because subjects could then not be compared.
    """
    labels = test.labels()
    unseen = torch.tensor([name not in trained for name in test.actions])[labels.action]
    mixture = torch.tensor([name == MIXTURE for name in test.actions])[labels.action]
    found = {SEEN: ~unseen, UNSEEN: unseen, MIXTURES: mixture}
    found |= {name: labels.view == number for number, name in enumerate(test.cameras)}
    return {
        name: frames
        for name, frames in found.items()
        if not frames.all() and _has_all(frames, labels.subject)
    }


def _has_all(frames: Bool[Tensor, " frame"], subjects: Int[Tensor, " frame"]) -> bool:
    return len(subjects[frames].unique()) == len(subjects.unique())
