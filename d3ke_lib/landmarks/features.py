"""What the lifting network sees of a frame: landmarks in the image and in 3-D, and their visibility."""

import torch
from jaxtyping import Float
from torch import Tensor

from d3ke_lib.landmarks.names import NAMES

_TRUNK = [NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip")]
COUNT = 6 * len(NAMES)


def crop_normalise(
    image: Float[Tensor, "*batch 33 2"],
) -> tuple[Float[Tensor, "*batch 33 2"], Float[Tensor, "*batch"]]:
    """Landmarks relative to the trunk's middle, in sizes of the person, and that size in units of `image`.

    The size is the root mean square distance from there; it needs no focal length.
    """
    centred = image - image[..., _TRUNK, :].mean(-2, keepdim=True)
    size = centred.square().sum(-1).mean(-1).sqrt().clamp(min=1e-6)
    return centred / size[..., None, None], size


def to_features(
    image: Float[Tensor, "*batch 33 2"],
    world: Float[Tensor, "*batch 33 3"],
    visibility: Float[Tensor, "*batch 33"],
) -> Float[Tensor, "*batch feature"]:
    """One row per frame; `image` in px, `world` in m in the axes of the camera that looks at the person."""
    flat, _ = crop_normalise(image)
    return torch.cat([flat.flatten(-2), world.flatten(-2), visibility], -1)
