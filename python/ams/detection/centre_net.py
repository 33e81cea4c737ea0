"""A small detector."""

from __future__ import annotations

import os
import zipfile
import zlib

import numpy as np
import torch
from torch import nn

import ams

from .centre_head import map_channels, prepare_head


class CentreNet(nn.Module):
    """A small anchor-free detector for narrow devices: 0.29 million parameters.

    float32 [N, 3, H, W] to [N, classes + 4, H / 4, W / 4]: the maps of centre_loss().
    H and W: multiples of 8. An encoder of residual layers, dilated so that a centre sees large
    objects whole, at an eighth of the size; the head is at a quarter.
    """

    def __init__(self, class_count: int, *, width: int = 64) -> None:
        """width: channels of the encoder, a multiple of 4."""
        super().__init__()
        self.class_count = class_count
        self.stem = nn.Sequential(
            _layer(3, width // 4, stride=2), _layer(width // 4, width // 2, stride=2)
        )
        self.down = _layer(width // 2, width, stride=2)
        self.encoder = nn.Sequential(*(_Residual(width, d) for d in (1, 2, 1, 4, 1, 2)))
        self.skip = nn.Conv2d(width // 2, width, 1)
        self.join = _layer(width, width)
        self.head = nn.Conv2d(width, map_channels(class_count), 1)
        prepare_head(self, class_count)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The maps of a batch of pictures."""
        fine = self.stem(images)
        coarse = self.encoder(self.down(fine))
        coarse = nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return self.head(self.join(coarse + self.skip(fine)))


def save_network(network: nn.Module, path: str | os.PathLike[str]) -> None:
    """Writes a network's tensors as fp16 into a .npz file, by name."""
    state = {
        name: tensor.detach().cpu().to(torch.float16).numpy()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    with open(path, "wb") as file:
        np.savez_compressed(file, **state)


def load_network(network: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Reads what save_network() wrote into a network of the same layers, and gives it. Raises
    ams.MalformedDataError for another file, OSError for none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            state = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files}
        counters = {n for n, t in network.state_dict().items() if not t.is_floating_point()}
        missing, unknown = network.load_state_dict(state, strict=False)
        if unknown or set(missing) - counters:
            raise ValueError(f"tensors that differ: {sorted({*unknown, *missing} - counters)[:3]}")
        if not all(torch.isfinite(tensor).all() for tensor in state.values()):
            raise ValueError("a value is not finite")
    except (ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ams.MalformedDataError(f"{os.fspath(path)} is no such network: {error}") from None
    return network


def _layer(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.layer = _layer(width, width, dilation=dilation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x)
