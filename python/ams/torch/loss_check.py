"""What a loss function may give for a mini-batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
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


def backward(value: torch.Tensor, number: int, tensors: Iterable[torch.Tensor]) -> None:
    """backward() of the loss of mini-batch `number`. If any of `tensors` require a gradient, it
    must give one of them a gradient; they have none before, which tells zeros from nothing.

    Raises ams.InvalidArgumentError when it does not, or the loss has no gradient.
    """
    if not value.requires_grad:
        raise ams.InvalidArgumentError(
            f"the loss of mini-batch {number} has no gradient; compute it from the module's "
            "outputs, without detach() and outside of torch.no_grad()"
        )
    trained = [tensor for tensor in tensors if tensor.requires_grad]
    for tensor in trained:
        tensor.grad = None
    value.backward()
    if trained and all(tensor.grad is None for tensor in trained):
        raise ams.InvalidArgumentError(
            f"the loss of mini-batch {number} gives no gradient to any of the {len(trained)} "
            "tensors that this phase trains; compute it from outputs of the very module that is "
            "trained, not of a copy.deepcopy() of it"
        )


def _shape_text(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor {list(value.shape)}"
    return f"a {type(value).__name__}"
