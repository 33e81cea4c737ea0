"""Sets of boxes as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def no_boxes() -> np.ndarray:
    """The empty set: float32 [0, 6]."""
    return np.zeros((0, 6), np.float32)


def boxes_from_pixels(
    edges: ArrayLike,
    classes: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    width: int,
    height: int,
) -> np.ndarray:
    """A set of boxes, float32 [n, 6], of what detectors give: edges [n, 4] (left, top, right,
    bottom) in pixels of a picture of width x height, classes [n], scores [n] (None: 1 each). Boxes
    are cut at the picture's edges; those without area there, or with a value that is not finite,
    are left out. Raises ValueError for shapes that do not fit."""
    edges = np.asarray(edges, np.float64).reshape(-1, 4)
    classes = np.asarray(classes, np.float64).reshape(-1)
    given = np.ones(len(edges)) if scores is None else scores
    scores = np.asarray(given, np.float64).reshape(-1)
    if not len(edges) == len(classes) == len(scores):
        raise ValueError(f"{len(edges)} boxes, {len(classes)} classes and {len(scores)} scores")
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} pixels; both must be 1 or more")
    table = np.column_stack([edges / [width, height, width, height], classes, scores])
    table[:, :4] = table[:, :4].clip(0, 1)
    boxes = table.astype(np.float32)
    has_area = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
    return np.ascontiguousarray(boxes[has_area & np.isfinite(boxes).all(axis=1)])
