"""Label maps in other sizes."""

from __future__ import annotations

import numpy as np


def resize_nearest(labels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Class ids [H, W] at another size: the source pixel that holds the target pixel's centre.

    The same pixels as the C++ library takes (ams/segmentation/label_resize.hpp). width, height:
    pixels, >= 1.
    """
    if labels.ndim != 2 or min(labels.shape) < 1 or width < 1 or height < 1:
        raise ValueError(
            f"resize_nearest: {labels.shape} to {height} x {width}; all sizes must be >= 1"
        )
    if labels.shape == (height, width):
        return labels
    rows = (2 * np.arange(height) + 1) * labels.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * labels.shape[1] // (2 * width)
    return np.ascontiguousarray(labels[rows[:, None], columns[None, :]])
