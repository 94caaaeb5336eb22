"""Random draws as data: one seed, any number of independent streams, none of them global."""

import numpy as np
import torch


def seed_generator(*parts: int) -> torch.Generator:
    """A CPU generator for one tuple of whole numbers, e.g. (seed, epoch, step).

    Streams of different tuples, also of different lengths, are independent, so what a step draws does
    not depend on what was drawn before it: workers, order and resume change nothing.
    Raises ValueError for no parts or a negative one.
    """
    if not parts or any(part < 0 for part in parts):
        raise ValueError(f"seed parts: expected one or more numbers >= 0, found {parts}")
    # SeedSequence pads with zeros: without the count, (1,) and (1, 0) would be one stream.
    words = np.random.SeedSequence([len(parts), *parts]).generate_state(1, np.uint64)
    generator = torch.Generator()
    generator.manual_seed(int(words[0]) % 2**63)
    return generator
