"""A rendered street: video with the class of every pixel known exactly (Cityscapes train ids).

street = Street(seed=7, width=256, height=128, seconds=60)
frame, labels = street.render(0)        # uint8 [128, 256, 3] and [128, 256]
frame, boxes = street.render_boxes(0)   # and float32 [n, 6] of people and cars
"""

from __future__ import annotations

from ._core import (
    Street,
    street_class_names,
    street_eval_classes,
    street_label_ids,
    street_object_names,
)
from ._functions import present_functions as _present_functions

__all__ = [
    "Street",
    "street_class_names",
    "street_eval_classes",
    "street_label_ids",
    "street_object_names",
]

_present_functions(globals(), __name__)
