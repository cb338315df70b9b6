"""Transforms between maps and tiles for Winograd's convolution, compiled with Numba.

A block of 4x4 outputs of a 3x3 convolution depends on a tile of 6x6 input pixels. Neighbouring tiles
overlap by two pixels. Maps are flat arrays in the order (images, height, width, channels). Tiles are
numbered image by image and row by row. Transformed tiles are flat arrays of shape (36, ROWS, channels):
one plane for each element of a tile.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from cnn_ablation.kernels.compilation import NATURAL, compiled, inlined, pixel_index

SPAN = 6
"""Height and width of a tile, in pixels."""

STRIDE = 4
"""Distance from one tile to the next, in pixels."""

TILES = 64
"""Number of tiles per call: few enough for a cache, enough for fast matrix products."""

ROWS = TILES + 1
"""Number of rows per plane. With a power of two, planes would compete for the same cache lines."""


class TileLoops(NamedTuple):
    """Compiled loops over `count` tiles, starting at tile number `first`, for one number of channels.

    In the notation of Lavin & Gray (2016), `split` is the data transform and `join` the inverse
    transform.
    """

    split: Callable[..., None]
    """(maps, height, width, first, count, tiles): set `tiles` to the transformed tiles of the inputs."""

    unsplit: Callable[..., None]
    """(tiles, first, count, maps, height, width): add the gradient through `split` to `maps`."""

    join: Callable[..., None]
    """(tiles, first, count, maps, height, width): add the outputs, from products of tiles, to `maps`."""

    unjoin: Callable[..., None]
    """(maps, height, width, first, count, tiles): set `tiles` to the gradient through `join`."""


def count_tiles(height: int, width: int) -> int:
    """Number of tiles per image."""
    return -(-height // STRIDE) * -(-width // STRIDE)


@cache
def compile_loops(channels: int, dtype: str) -> TileLoops:
    """Compile the loops for maps with this number of channels and this type."""
    build = compiled(channels, dtype)

    @build
    def split(maps, height, width, first, count, tiles):
        _take_apart(_split, 1, SPAN, maps, height, width, channels, first, count, tiles)

    @build
    def unsplit(tiles, first, count, maps, height, width):
        _put_together(_unsplit, 1, SPAN, tiles, first, count, maps, height, width, channels)

    @build
    def join(tiles, first, count, maps, height, width):
        _put_together(_join, 0, STRIDE, tiles, first, count, maps, height, width, channels)

    @build
    def unjoin(maps, height, width, first, count, tiles):
        _take_apart(_unjoin, 0, STRIDE, maps, height, width, channels, first, count, tiles)

    return TileLoops(split, unsplit, join, unjoin)


# The geometry is passed as separate arguments: a NamedTuple made the loops up to eight times slower.


@inlined
def _take_apart(transform, edge, side, maps, height, width, channels, first, count, tiles):
    """Set `tiles` to transformed blocks of side x side pixels of `maps`.

    A block begins `edge` pixels above and to the left of its tile's outputs.
    """
    tile = np.empty(SPAN * SPAN * channels, maps.dtype)
    plane = ROWS * channels
    for number in range(count):
        place = _place(first + number, height, width, edge)
        _cut(maps, height, width, channels, place, side, tile)
        row = number * channels & NATURAL
        for channel in range(channels):
            pixels = _both_ways(transform, _load(tile, channel, SPAN * channels, channels))
            _store(pixels, SPAN, tiles, row + channel, SPAN * plane, plane)


@inlined
def _put_together(transform, edge, side, tiles, first, count, maps, height, width, channels):
    """Add transformed tiles to `maps` as blocks of side x side pixels, placed as in `_take_apart`."""
    tile = np.empty(SPAN * SPAN * channels, maps.dtype)
    plane = ROWS * channels
    line = SPAN * channels
    for number in range(count):
        row = number * channels & NATURAL
        for channel in range(channels):
            pixels = _both_ways(transform, _load(tiles, row + channel, SPAN * plane, plane))
            _store(pixels, side, tile, channel, line, channels)
        image, top, left = _place(first + number, height, width, edge)
        begin, end = max(0, -left), min(side, width - left)
        for y in range(max(0, -top), min(side, height - top)):
            target = pixel_index(image, top + y, left + begin, height, width, channels)
            source = y * line + begin * channels & NATURAL
            for index in range((end - begin) * channels):
                maps[target + index] += tile[source + index]


@inlined
def _place(number, height, width, edge):
    """Image of a tile, and the row and column at which its block begins. They can lie outside."""
    across = -(-width // STRIDE)
    per_image = -(-height // STRIDE) * across
    image, tile = number // per_image, number % per_image
    return image, tile // across * STRIDE - edge, tile % across * STRIDE - edge


@inlined
def _cut(maps, height, width, channels, place, side, tile):
    """Copy a block of side x side pixels to `tile`, with zeros outside the image."""
    image, top, left = place
    begin, end = max(0, -left), min(side, width - left)
    for y in range(side):
        target = y * SPAN * channels
        if top + y < 0 or top + y >= height:
            for index in range(side * channels):
                tile[target + index] = 0
        else:
            for index in range(begin * channels):
                tile[target + index] = 0
            source = pixel_index(image, top + y, left + begin, height, width, channels)
            for index in range((end - begin) * channels):
                tile[target + begin * channels + index & NATURAL] = maps[source + index]
            for index in range(end * channels, side * channels):
                tile[target + index] = 0


@inlined
def _load(source, first, down, across):
    """Load 6x6 elements as rows. `down` and `across` are the distances between neighbours."""
    return (
        _load_row(source, first, across),
        _load_row(source, first + down, across),
        _load_row(source, first + 2 * down, across),
        _load_row(source, first + 3 * down, across),
        _load_row(source, first + 4 * down, across),
        _load_row(source, first + 5 * down, across),
    )


@inlined
def _load_row(source, first, across):
    return (
        source[first],
        source[first + across],
        source[first + 2 * across],
        source[first + 3 * across],
        source[first + 4 * across],
        source[first + 5 * across],
    )


@inlined
def _store(pixels, side, target, first, down, across):
    for row in range(side):
        for column in range(side):
            target[first + row * down + column * across] = pixels[row][column]


@inlined
def _both_ways(transform, pixels):
    """Transform the columns, then the rows of the result."""
    return _each(transform, _transposed(_each(transform, _transposed(pixels))))


@inlined
def _each(transform, rows):
    return (
        transform(rows[0]),
        transform(rows[1]),
        transform(rows[2]),
        transform(rows[3]),
        transform(rows[4]),
        transform(rows[5]),
    )


@inlined
def _transposed(rows):
    return (
        _column(rows, 0),
        _column(rows, 1),
        _column(rows, 2),
        _column(rows, 3),
        _column(rows, 4),
        _column(rows, 5),
    )


@inlined
def _column(rows, number):
    return (
        rows[0][number],
        rows[1][number],
        rows[2][number],
        rows[3][number],
        rows[4][number],
        rows[5][number],
    )


# F(4, 3) of Lavin & Gray (2016) in one dimension, and its adjoints. The factors are in single precision,
# so that products with them keep the precision of the maps.
TWO, FOUR, FIVE, EIGHT = np.float32(2), np.float32(4), np.float32(5), np.float32(8)


@inlined
def _split(pixels):
    a, b, c, d, e, f = pixels
    near, far = e - FOUR * c, d - FOUR * b
    even, odd = e - c, TWO * (d - b)
    return (
        FOUR * a - FIVE * c + e,
        near + far,
        near - far,
        even + odd,
        even - odd,
        FOUR * b - FIVE * d + f,
    )


@inlined
def _unsplit(pixels):
    a, b, c, d, e, f = pixels
    near, far, even, odd = b + c, c - b, d + e, TWO * (e - d)
    return (
        FOUR * a,
        FOUR * (far + f) + odd,
        -FIVE * a - FOUR * near - even,
        -far - odd - FIVE * f,
        a + near + even,
        f,
    )


@inlined
def _join(pixels):
    """Return four outputs. The last two elements are unused."""
    a, b, c, d, e, f = pixels
    near, far, even, odd = b + c, b - c, d + e, TWO * (d - e)
    return a + near + even, far + odd, near + FOUR * even, far + FOUR * odd + f, f, f


@inlined
def _unjoin(pixels):
    """Transform the first four elements. The last two are ignored."""
    a, b, c, d, _, _ = pixels
    near, far, even, odd = a + c, b + d, a + FOUR * c, TWO * b + EIGHT * d
    return a, near + far, near - far, even + odd, even - odd, d
