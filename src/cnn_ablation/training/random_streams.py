"""Independent streams of random numbers derived from one seed.

A trial draws its initial weights, the order of its batches and its dropout masks from generators of
their own. So conditions that share a seed see the same batches in the same order and, where shapes
agree, start from the same weights, however many numbers each of them draws: their results can be
compared in pairs, seed by seed.
"""

import hashlib

import torch


def generator(seed: int, *stream: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` that depends on the seed and the stream's name alone.

    The name is hashed with the seed, so that neighbouring seeds and streams have nothing in common.
    """
    digest = hashlib.sha256("/".join([str(seed), *stream]).encode()).digest()
    # The CPU's Mersenne Twister takes 32 bits of a seed and drops the rest.
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:4], "big"))
