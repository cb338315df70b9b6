"""Independent streams of random numbers derived from one seed.

A trial draws its initial weights, the order of its batches, its dropout masks and its augmentation from
generators of their own. Conditions that share a seed therefore see the same batches in the same order
and, where shapes agree, start from the same weights, however many numbers each of them draws. Their
results can be compared in pairs, seed by seed.
"""

import hashlib

import torch


def generator(seed: int, *stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that depends on the seed and the stream's name alone."""
    return torch.Generator(device).manual_seed(number(seed, *stream))


def number(seed: int, *stream: str) -> int:
    """A seed of 32 bits that depends on the seed and the stream's name alone.

    The name is hashed with the seed, so that neighbouring seeds and streams have nothing in common. 32
    bits are all that the Mersenne Twister of PyTorch's CPU generator takes of a seed.
    """
    digest = hashlib.sha256("/".join([str(seed), *stream]).encode()).digest()
    return int.from_bytes(digest[:4], "big")
