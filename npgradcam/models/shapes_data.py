"""Pictures of one shape each, drawn by a seeded generator: what the small network of `shapes` learns from.

A picture is 32 x 32 pixels: a blotchy background in a random colour, lines and specks in other colours, one shape
(circle, square, triangle or cross; filled, of any colour, tilt and place), and noise on every pixel. The four kinds
have equal area and the same places, so that only the outline tells them apart.

Nothing here calls a sine, an exponential or a matrix product: only sums, products, quotients and square roots, which
every machine rounds alike. The same seed gives the same pictures wherever NumPy's generator gives the same stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npgradcam.formats import read_npz
from npgradcam.maps import upsample

CLASSES = ("circle", "square", "triangle", "cross")
SIDE = 32
FINE = 4  # each pixel is the mean of FINE x FINE points
RADIUS = (4.75, 7.0)  # of the circle whose area the shape has
CONTRAST = 60  # levels by which a shape is at least brighter or darker than the background
TILT = 0.2  # tangent of half the largest angle: 23 degrees
REACH = 1.5552  # no shape goes further than REACH * radius from its centre: the triangle's corners
HELD_OUT = {"count": 64, "seed": 2016}  # the pictures in shapes_data.npz; training never sees this seed

Seed = int | Sequence[int]
Draw = np.random.Generator
Grey = NDArray[np.float64]


class ShapesData(NamedTuple):
    """Pictures and what is true of them.

    Attributes
    ----------
    pictures : ndarray uint8 (N, 32, 32, 3)
    labels : ndarray int32 (N,)
        Indices into `CLASSES`; (N, 2) for two shapes a picture: left, right.
    boxes : ndarray int32 (N, 4)
        (left, top, right, bottom) around the shape: the columns left .. right - 1 and the rows top .. bottom - 1;
        (N, 2, 4) for two.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int32]
    boxes: NDArray[np.int32]


def shapes_data(count: int, seed: Seed) -> ShapesData:
    """Draw pictures of one shape each.

    Parameters
    ----------
    count : int
        How many; each class gets its equal share, in random order.
    seed : int or sequence of int
        As `numpy.random.default_rng` takes it.

    Returns
    -------
    ShapesData

    Examples
    --------
    >>> data = shapes_data(count=8, seed=0)
    >>> data.pictures.shape, np.bincount(data.labels).tolist()
    ((8, 32, 32, 3), [2, 2, 2, 2])
    """
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.arange(count) % len(CLASSES)).astype(np.int32)
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    boxes = np.empty((count, 4), np.int32)
    for n, label in enumerate(labels):
        picture, background = _background(draw)
        boxes[n] = _shape(draw, picture, background, int(label), RADIUS, (0, SIDE))
        pictures[n] = _noisy(draw, picture)
    return ShapesData(pictures, labels, boxes)


def two_shapes(count: int, seed: Seed) -> ShapesData:
    """Draw pictures of two shapes of different classes, one within the left half and one within the right.

    Parameters
    ----------
    count : int
    seed : int or sequence of int

    Returns
    -------
    ShapesData
        With labels (N, 2) and boxes (N, 2, 4): left, right.
    """
    draw = np.random.default_rng(seed)
    pictures = np.empty((count, SIDE, SIDE, 3), np.uint8)
    labels = np.empty((count, 2), np.int32)
    boxes = np.empty((count, 2, 4), np.int32)
    half = SIDE // 2
    small = (RADIUS[0], half / 2 / REACH)  # what fits into half a picture
    for n in range(count):
        labels[n] = draw.permutation(len(CLASSES))[:2]
        picture, background = _background(draw)
        for side, columns in enumerate(((0, half), (half, SIDE))):
            boxes[n, side] = _shape(draw, picture, background, int(labels[n, side]), small, columns)
        pictures[n] = _noisy(draw, picture)
    return ShapesData(pictures, labels, boxes)


def held_out() -> ShapesData:
    """Return the pictures that come along with the package and that training never saw."""
    arrays = read_npz(Path(__file__).with_name("shapes_data.npz"))
    return ShapesData(arrays["pictures"], arrays["labels"], arrays["boxes"])


# ------------------------------------------------------------------------------------------------ outlines


def inside(label: int, x: Grey, y: Grey, radius: float) -> NDArray[np.bool_]:
    """Return which points lie in a shape at the origin, upright, with the area of a circle of this radius."""
    if CLASSES[label] == "circle":
        return np.asarray(x * x + y * y <= radius * radius)
    if CLASSES[label] == "square":  # (2 a)^2 = pi r^2
        a = radius * np.sqrt(np.pi / 4)
        return np.asarray(np.maximum(abs(x), abs(y)) <= a)
    if CLASSES[label] == "triangle":  # three lines at a distance d from the origin: 3 sqrt(3) d^2 = pi r^2
        d = radius * np.sqrt(np.pi / np.sqrt(27))
        return np.asarray((y <= d) & (np.sqrt(0.75) * abs(x) - y / 2 <= d))
    a = radius * np.sqrt(np.pi * 9 / 20)  # cross: two bars of 2 a by 2 a / 3, 20/9 a^2 = pi r^2
    return np.asarray((np.maximum(abs(x), abs(y)) <= a) & (np.minimum(abs(x), abs(y)) <= a / 3))


class Window(NamedTuple):
    """A few pixels of the picture around a point, and the coordinates of their FINE x FINE points from there."""

    rows: slice
    columns: slice
    x: Grey  # (1, columns * FINE)
    y: Grey  # (rows * FINE, 1)


def _window(x0: float, y0: float, reach: float) -> Window:
    """Look at every pixel within `reach` of (x0, y0)."""
    spans, points = [], []
    for centre in (x0, y0):
        first, last = max(0, int(centre - reach)), min(SIDE, int(centre + reach) + 1)
        spans.append(slice(first, last))
        points.append((np.arange(first * FINE, last * FINE) + 0.5) / FINE - centre)
    return Window(spans[1], spans[0], points[0][None, :], points[1][:, None])


def _paint(picture: Grey, window: Window, points: NDArray[np.bool_], colour: Grey) -> Grey:
    """Blend a colour in by the covered part of each pixel; return that part, (rows, columns)."""
    rows, columns = points.shape[0] // FINE, points.shape[1] // FINE
    covered: Grey = points.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3))
    part = picture[window.rows, window.columns]
    part += covered[:, :, None] * (colour - part)
    return covered


def _turn(t: float, x: Grey, y: Grey) -> tuple[Grey, Grey]:
    """Rotate by an angle whose half has the tangent t: cos = (1 - t^2) / (1 + t^2), sin = 2 t / (1 + t^2)."""
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    return cos * x + sin * y, cos * y - sin * x


# ------------------------------------------------------------------------------------------------ what is painted


def _shape(draw: Draw, picture: Grey, background: Grey, label: int, radii: tuple[float, float],
           columns: tuple[int, int]) -> tuple[int, int, int, int]:
    """Paint one shape wholly inside the picture and these columns; return its box."""
    radius = draw.uniform(*radii)
    reach = REACH * radius
    window = _window(draw.uniform(columns[0] + reach, columns[1] - reach), draw.uniform(reach, SIDE - reach), reach)
    points = inside(label, *_turn(draw.uniform(-TILT, TILT), window.x, window.y), radius)
    colour = draw.uniform(0, 255, 3)
    while abs((colour - background).mean()) < CONTRAST:
        colour = draw.uniform(0, 255, 3)
    covered = _paint(picture, window, points, colour)
    across = np.flatnonzero(covered.any(axis=0)) + window.columns.start
    down = np.flatnonzero(covered.any(axis=1)) + window.rows.start
    return int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1


def _background(draw: Draw) -> tuple[Grey, Grey]:
    """Return a picture of blotches, two lines and six specks, (H, W, 3), and the colour that it began with, (3,)."""
    colour = draw.uniform(30, 225, 3)
    blotches = upsample(draw.uniform(-30, 30, (3, 6, 6)), (SIDE, SIDE))
    picture = colour + blotches.transpose(1, 2, 0)
    for _ in range(2):
        length, width = draw.uniform(4, 12), draw.uniform(0.3, 0.7)
        window = _window(draw.uniform(0, SIDE), draw.uniform(0, SIDE), length + 1)
        x, y = _turn(draw.uniform(-1, 1), window.x, window.y)
        _paint(picture, window, (abs(x) <= length) & (abs(y) <= width), draw.uniform(0, 255, 3))
    for _ in range(6):
        radius = draw.uniform(0.5, 1.3)
        window = _window(draw.uniform(0, SIDE), draw.uniform(0, SIDE), radius)
        _paint(picture, window, inside(CLASSES.index("circle"), window.x, window.y, radius), draw.uniform(0, 255, 3))
    return picture, colour


def _noisy(draw: Draw, picture: Grey) -> NDArray[np.uint8]:
    noise = draw.uniform(-8, 8, (2, *picture.shape))
    levels: NDArray[np.uint8] = np.rint(np.clip(picture + noise[0] + noise[1], 0, 255)).astype(np.uint8)
    return levels
