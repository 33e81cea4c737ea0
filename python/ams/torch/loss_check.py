"""What a loss function may give for a mini-batch."""

from __future__ import annotations

import math
from typing import Any

import torch

import ams


def finite_loss(value: torch.Tensor | None, number: int) -> float:
    """The loss of mini-batch `number` (from 1) as a float; 0 for None, which says nothing.

    Raises ams.InvalidArgumentError for what is neither None nor a tensor of one finite value.
    """
    if value is None:
        return 0.0
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ams.InvalidArgumentError(
            f"the loss of mini-batch {number} is {_shape_text(value)}; allowed are a scalar tensor "
            "and None"
        )
    loss = float(value.detach())
    if not math.isfinite(loss):
        raise ams.InvalidArgumentError(
            f"the loss of mini-batch {number} is not finite; lower the learning rate, its "
            "multipliers, or look at the targets"
        )
    return loss


def _shape_text(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor {list(value.shape)}"
    return f"a {type(value).__name__}"
