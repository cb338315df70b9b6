"""Normalization, pooling and ReLU in one pass over the maps, compiled with Numba.

As separate operations, each of them would read and write whole maps, and memory bandwidth would limit
them.

Maps are flat arrays in the order (images, height, width, channels). NumPy has no bf16, so bf16 maps are
int16 arrays with the same bits. Arithmetic is in single precision, or in double if the maps are.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from cnn_ablation.kernels.compilation import NATURAL, compiled, inlined, pixel_index

SCALE, SHIFT, MEAN, SLOPE, CONSTANT = range(5)
"""Rows of the array `vectors` (flat, one number per row and channel) that is passed with the maps."""

ROWS = 5
"""Number of rows of `vectors`."""


class MapLoops(NamedTuple):
    """Compiled loops over maps of one shape.

    Windows are adjacent squares of pixels. Pixels left over at the lower and right edges belong to no
    window. The winner of a window is its largest pixel after scaling and shifting, provided that it is
    above zero; the first one if several are equal. Sums are float64 arrays of shape (2 * channels,), to
    which each image's sum is added in turn: a sum over a whole batch in single precision would lose
    digits.
    """

    moments: Callable[..., None]
    """(maps, vectors, sums): add each channel's sum, and its sum of squares, to `sums`."""

    rectify: Callable[..., None]
    """(maps, vectors, result): set `result` to the scaled and shifted winners, or 0 without a winner."""

    reduce: Callable[..., None]
    """(maps, gradient, vectors, sums): add to `sums` each channel's sum of the winners' gradients, and
    the sum of these gradients times the winners' distances from MEAN."""

    spread: Callable[..., None]
    """(maps, gradient, vectors): overwrite `maps` with maps * SLOPE + CONSTANT, and add gradient * SCALE
    to the winners."""


@cache
def compile_loops(height: int, width: int, channels: int, side: int, dtype: str) -> MapLoops:
    """Compile the loops for maps of this shape and type, with windows of side x side pixels."""
    rows, columns = height // side, width // side
    build = compiled(height, width, channels, side, dtype)

    @build
    def moments(maps, vectors, sums):
        partial = np.empty(2 * channels, vectors.dtype)
        for image in range(len(maps) // (height * width * channels)):
            partial[:] = 0
            for pixel in range(height * width):
                first = (image * height * width + pixel) * channels & NATURAL
                for channel in range(channels):
                    value = _number(maps[first + channel])
                    partial[channel] += value
                    partial[channels + channel] += value * value
            for index in range(2 * channels):
                sums[index] += partial[index]

    @build
    def rectify(maps, vectors, result):
        for image in range(len(result) // (rows * columns * channels)):
            for row in range(rows):
                for column in range(columns):
                    window = pixel_index(image, row, column, rows, columns, channels)
                    first = pixel_index(image, row * side, column * side, height, width, channels)
                    for channel in range(channels):
                        largest, _, _ = _winner(
                            maps, vectors, first + channel, channel, width, channels, side
                        )
                        result[window + channel] = _stored(largest, result)

    @build
    def reduce(maps, gradient, vectors, sums):
        work = np.empty((ROWS + 2) * channels, vectors.dtype)
        # A slice assignment would compile an error message for unequal lengths, which takes seconds.
        for index in range(ROWS * channels):
            work[index] = vectors[index]
        for image in range(len(gradient) // (rows * columns * channels)):
            work[ROWS * channels :] = 0
            for row in range(rows):
                for column in range(columns):
                    window = pixel_index(image, row, column, rows, columns, channels)
                    first = pixel_index(image, row * side, column * side, height, width, channels)
                    for channel in range(channels):
                        largest, distance, _ = _winner(
                            maps, work, first + channel, channel, width, channels, side
                        )
                        arriving = _number(gradient[window + channel]) * np.float32(largest > 0)
                        work[ROWS * channels + channel] += arriving
                        work[(ROWS + 1) * channels + channel] += arriving * distance
            for index in range(2 * channels):
                sums[index] += work[ROWS * channels + index]

    @build
    def spread(maps, gradient, vectors):
        for image in range(len(gradient) // (rows * columns * channels)):
            for row in range(rows):
                for column in range(columns):
                    window = pixel_index(image, row, column, rows, columns, channels)
                    first = pixel_index(image, row * side, column * side, height, width, channels)
                    for channel in range(channels):
                        _, _, winner = _winner(
                            maps, vectors, first + channel, channel, width, channels, side
                        )
                        scale = vectors[SCALE * channels + channel]
                        arriving = _number(gradient[window + channel]) * scale
                        _replace(
                            maps,
                            vectors,
                            first + channel,
                            channel,
                            width,
                            channels,
                            side,
                            winner,
                            arriving,
                        )
            for row in range(height):
                for column in range(columns * side if row < rows * side else 0, width):
                    first = pixel_index(image, row, column, height, width, channels)
                    for channel in range(channels):
                        _replace(
                            maps,
                            vectors,
                            first + channel,
                            channel,
                            width,
                            channels,
                            1,
                            -1,
                            np.float32(0),
                        )

    return MapLoops(moments, rectify, reduce, spread)


@inlined
def _winner(maps, vectors, first, channel, width, channels, side):
    """Value of a window's winner, its unscaled distance from MEAN, and its place; or 0, 0, -1."""
    scale, shift = vectors[SCALE * channels + channel], vectors[SHIFT * channels + channel]
    mean = vectors[MEAN * channels + channel]
    largest, distance, winner = np.float32(0), np.float32(0), np.int32(-1)
    for place in range(side * side):
        pixel = _number(maps[first + (place // side * width + place % side) * channels])
        value = pixel * scale + shift
        # Propagate NaN.
        wins = (value > largest) | (value != value)
        distance = pixel - mean if wins else distance
        winner = np.int32(place) if wins else winner
        largest = value if wins else largest
    return largest, distance, winner


@inlined
def _replace(maps, vectors, first, channel, width, channels, side, winner, arriving):
    """Overwrite a window with its gradient."""
    slope, constant = vectors[SLOPE * channels + channel], vectors[CONSTANT * channels + channel]
    for place in range(side * side):
        index = first + (place // side * width + place % side) * channels
        value = _number(maps[index]) * slope + constant
        maps[index] = _stored(value + arriving * np.float32(winner == place), maps)


def _number(stored):
    """Decode an element of the maps to a number. Compiled code only."""
    raise NotImplementedError


@overload(_number)
def _overload_number(stored):
    if isinstance(stored, types.Integer):
        return lambda stored: np.int32(np.int32(stored) << 16).view(np.float32)
    return lambda stored: stored


def _stored(number, maps):
    """Encode a number as an element of the maps, rounded to nearest. Compiled code only."""
    raise NotImplementedError


@overload(_stored)
def _overload_stored(number, maps):
    if not isinstance(maps.dtype, types.Integer):
        return lambda number, maps: number

    def rounded(number, maps):
        bits = np.float32(number).view(np.uint32)
        # Round to nearest, ties to even. NaN is set explicitly, as rounding could turn it into a number.
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        half = np.uint32((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))
        half = half if number == number else np.uint32(0x7FC0)
        return np.int16(np.uint16(half))

    return rounded
