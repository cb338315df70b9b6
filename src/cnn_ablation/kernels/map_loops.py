"""Normalization, pooling and ReLU in one pass over the maps, compiled by Numba.

As operations of their own they read and write whole maps each, and memory is what they wait for.

Maps are flat, in the order (images, height, width, channels). Those in bf16, which NumPy doesn't know,
are the int16 of the same bits; arithmetic is in single precision, or in the maps' own where that is
higher.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from cnn_ablation.kernels.compilation import NATURAL, compiled, inlined, pixel_index

SCALE, SHIFT, MEAN, SLOPE, CONSTANT = range(5)
"""Rows of the vectors that go with maps: flat, a number per channel and row."""

ROWS = 5


class MapLoops(NamedTuple):
    """Loops over maps of one shape.

    Windows are squares of pixels side by side; what they leave over at the lower and right edge belongs
    to none. A window's winner is the largest of its pixels, scaled and shifted, the first of several, if
    it is above zero. Sums are float64, (2 * channels), added up image by image: a single precision sum
    over a whole batch would lose digits.
    """

    moments: Callable[..., None]
    """(maps, vectors, sums): adds each channel's sum, and that of squares, to sums."""

    rectify: Callable[..., None]
    """(maps, vectors, result): the scaled and shifted winners, 0 for windows that have none."""

    reduce: Callable[..., None]
    """(maps, gradient, vectors, sums): adds to sums those of the winners' gradient, and of its products
    with how far they are from MEAN."""

    spread: Callable[..., None]
    """(maps, gradient, vectors): overwrites maps with SLOPE times themselves, plus CONSTANT, plus, for
    winners, SCALE times the gradient."""


@cache
def compile_loops(height: int, width: int, channels: int, side: int, dtype: str) -> MapLoops:
    """The loops for maps of this shape and type, and windows of side x side pixels."""
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
        # Not as slices: the message, should their lengths differ, takes seconds to compile.
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
    """A window's largest number or 0, how far from MEAN it was before scaling, its place or -1."""
    scale, shift = vectors[SCALE * channels + channel], vectors[SHIFT * channels + channel]
    mean = vectors[MEAN * channels + channel]
    largest, distance, winner = np.float32(0), np.float32(0), np.int32(-1)
    for place in range(side * side):
        pixel = _number(maps[first + (place // side * width + place % side) * channels])
        value = pixel * scale + shift
        # What is not a number is to be seen.
        wins = (value > largest) | (value != value)
        distance = pixel - mean if wins else distance
        winner = np.int32(place) if wins else winner
        largest = value if wins else largest
    return largest, distance, winner


@inlined
def _replace(maps, vectors, first, channel, width, channels, side, winner, arriving):
    """Overwrite a window by its gradient."""
    slope, constant = vectors[SLOPE * channels + channel], vectors[CONSTANT * channels + channel]
    for place in range(side * side):
        index = first + (place // side * width + place % side) * channels
        value = _number(maps[index]) * slope + constant
        maps[index] = _stored(value + arriving * np.float32(winner == place), maps)


def _number(stored):
    """The number that an element of the maps stands for; for compiled code only."""
    raise NotImplementedError


@overload(_number)
def _overload_number(stored):
    if isinstance(stored, types.Integer):
        return lambda stored: np.int32(np.int32(stored) << 16).view(np.float32)
    return lambda stored: stored


def _stored(number, maps):
    """The number as an element of the maps, rounded to the nearest; for compiled code only."""
    raise NotImplementedError


@overload(_stored)
def _overload_stored(number, maps):
    if not isinstance(maps.dtype, types.Integer):
        return lambda number, maps: number

    def rounded(number, maps):
        bits = np.float32(number).view(np.uint32)
        # To the nearest, of two as near to the even one. It would make a number of some that are none.
        odd = (bits >> np.uint32(16)) & np.uint32(1)
        half = np.uint32((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))
        half = half if number == number else np.uint32(0x7FC0)
        return np.int16(np.uint16(half))

    return rounded
