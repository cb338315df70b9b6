"""Independent streams of random numbers derived from one seed.

A trial draws its initial weights, the order of its batches, its dropout masks and its augmentation from
separate generators. Conditions with the same seed therefore see the same batches in the same order and,
where shapes agree, start from the same weights, even if one of them draws more numbers than the other.
Their results can be compared in pairs, seed by seed.
"""

import hashlib

import torch


def generator(seed: int, *stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that depends only on the seed and the stream's name."""
    return torch.Generator(device).manual_seed(number(seed, *stream))


def number(seed: int, *stream: str) -> int:
    """A 32-bit seed that depends only on the seed and the stream's name.

    Seed and name are hashed together, so that similar seeds and names give unrelated streams. PyTorch's
    CPU generator, a Mersenne Twister, uses no more than 32 bits of a seed.
    """
    digest = hashlib.sha256("/".join([str(seed), *stream]).encode()).digest()
    return int.from_bytes(digest[:4], "big")
