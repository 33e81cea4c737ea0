"""Object detection as a task: boxes as labels, their loss, average precision.

A set of boxes is float32 [n, 6]: left, top, right, bottom as shares of the picture's width and
height, class, score (1 in labels). No torch is imported. ``ams.detection.student`` has an
anchor-free head for networks on torch, ``ams.detection.simulate`` plays the paper's schemes in
virtual time, and ``python -m ams.detection.demo`` shows one of them.
"""

from __future__ import annotations

from ams._core import (
    AveragePrecision,
    HardBoxLoss,
    PrecisionSummary,
    SlidingPrecision,
    box_disagreement,
    check_boxes,
    decode_centre_maps,
    draw_boxes,
    pack_boxes,
    unpack_boxes,
)
from ams._functions import present_functions as _present_functions

from .boxes import boxes_from_pixels, no_boxes
from .task import DetectionTask
from .torchvision_task import TorchvisionDetectionTask

__all__ = [
    "AveragePrecision",
    "DetectionTask",
    "HardBoxLoss",
    "PrecisionSummary",
    "SlidingPrecision",
    "TorchvisionDetectionTask",
    "box_disagreement",
    "boxes_from_pixels",
    "check_boxes",
    "decode_centre_maps",
    "draw_boxes",
    "no_boxes",
    "pack_boxes",
    "unpack_boxes",
]

_present_functions(globals(), __name__)
