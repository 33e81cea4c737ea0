"""Boxes as detectors of other libraries give them, as ams.detection has them."""

from __future__ import annotations

import numpy as np


def boxes_from_pixels(
    edges: np.ndarray, classes: np.ndarray, scores: np.ndarray, *, size: tuple[int, int]
) -> np.ndarray:
    """A set of boxes, float32 [n, 6]: left, top, right, bottom as shares of the picture's width and
    height, class, score.

    edges: [n, 4] in pixels of a picture of size (height, width). Boxes are cut at its edges; those
    without area there, or with a value that is not finite, are left out.
    """
    height, width = size
    shares = np.asarray(edges, np.float64) / [width, height, width, height]
    table = np.column_stack([shares.clip(0, 1), classes, scores]).astype(np.float32)
    has_area = (table[:, 0] < table[:, 2]) & (table[:, 1] < table[:, 3])
    return np.ascontiguousarray(table[has_area & np.isfinite(table).all(axis=1)])
