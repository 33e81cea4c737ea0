"""Running networks of torch on frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidArgumentError, UnavailableError

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_MAX_LOGITS = 1 << 25  # at full size at once


def require(library: str, who: str) -> Any:
    """The imported library. Raises ams.UnavailableError that says how to get it."""
    try:
        return __import__(library)
    except ImportError as error:
        raise UnavailableError(
            f"{who} needs {library}, which is not installed: pip install {library}, or all that "
            f"teachers need with pip install 'libams[teachers]' ({error})"
        ) from error


def prepared(model: Any, who: str) -> Any:
    """The module in eval mode."""
    torch = require("torch", who)
    if not isinstance(model, torch.nn.Module):
        raise InvalidArgumentError(
            f"{who} got a model of type {type(model).__name__}; allowed is a torch.nn.Module"
        )
    return model.eval()


def device_of(model: torch.nn.Module) -> torch.device:
    import torch

    tensor = next(iter(model.parameters()), None)
    return torch.device("cpu") if tensor is None else tensor.device


def pictures(frames: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 [N, H, W, 3] to uint8 [N, 3, H, W] on the device."""
    import torch

    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2)


def normalised(frames: torch.Tensor, input_size: tuple[int, int] | None) -> torch.Tensor:
    """uint8 [N, 3, H, W] to float32 as ImageNet's, at another size if one is given."""
    import torch

    inputs = frames.float() / 255
    if input_size is not None and tuple(inputs.shape[2:]) != tuple(input_size):
        inputs = torch.nn.functional.interpolate(
            inputs, input_size, mode="bilinear", align_corners=False, antialias=True
        )
    mean = torch.tensor(IMAGENET_MEAN, device=frames.device).view(3, 1, 1)
    return (inputs - mean) / torch.tensor(IMAGENET_DEVIATION, device=frames.device).view(3, 1, 1)


def class_ids(logits: torch.Tensor, size: tuple[int, int]) -> list[np.ndarray]:
    """Logits [N, C, h, w] to the class with the largest of each pixel, int64 [height, width] each.

    Logits are resized by few channels at a time: there may be many classes.
    """
    import torch

    step = max(1, _MAX_LOGITS // (size[0] * size[1]))
    labels = []
    for each in logits.float():
        best = torch.full(size, -torch.inf, device=each.device)
        ids = torch.zeros(size, dtype=torch.int64, device=each.device)
        for first in range(0, len(each), step):
            part = torch.nn.functional.interpolate(
                each[None, first : first + step], size, mode="bilinear", align_corners=False
            )
            largest, index = part[0].max(0)
            ids = torch.where(largest > best, index + first, ids)
            best = torch.maximum(best, largest)
        labels.append(ids.cpu().numpy())
    return labels
