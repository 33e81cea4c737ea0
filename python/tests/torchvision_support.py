"""torchvision, beside any build of torch. Importing it skips a module where there is none.

The registry's torchvision has compiled operators for torch with CUDA alone; beside torch for CPUs
they do not load, and the package cannot be imported. Its networks are Python, though: with the one
operator that detectors need, written here, they run.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")


def suppress_overlapping(boxes, scores, iou_threshold):
    """Non-maximum suppression: indices of the boxes [n, 4] to keep, best score first."""
    order = scores.sort(descending=True, stable=True).indices
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[order, :2])
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        areas = [(b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes[best], boxes[order])]
        order = order[shared <= iou_threshold * (areas[0] + areas[1] - shared)]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


try:
    import torchvision
except ImportError:
    pytest.skip("torchvision is not installed", allow_module_level=True)
except RuntimeError:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library.impl("nms", suppress_overlapping, "CPU")
    import torchvision

    torchvision.extension._has_ops = lambda: True

models = torchvision.models
