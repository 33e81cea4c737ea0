"""Rendered drives with exact boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ams.synthetic import Street, street_object_names

CLASSES = tuple(street_object_names())
"""person, car."""


class DriveFrame(NamedTuple):
    """seconds: on the drive's timeline. image: uint8 [H, W, 3]. boxes: float32 [n, 6]."""

    seconds: float
    image: np.ndarray
    boxes: np.ndarray


def drive(
    *,
    seed: int,
    seconds: float,
    fps: float = 4,
    size: tuple[int, int] = (192, 96),
    schedule: str = "demo",
    min_share: float = 0.002,
) -> Iterator[DriveFrame]:
    """The frames of a rendered drive. size: width and height, pixels. schedule: as
    ams.synthetic.Street. min_share: objects of which less than this share of the picture's pixels
    is seen are no labels."""
    width, height = size
    street = Street(
        seed=seed, width=width, height=height, fps=fps, seconds=seconds, schedule=schedule
    )
    min_pixels = max(1, round(min_share * width * height))
    for index in range(len(street)):
        yield DriveFrame(index / fps, *street.render_boxes(index, min_pixels=min_pixels))
