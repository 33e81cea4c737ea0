"""How sampled frames travel: a codec turns a buffer of frames into bytes and back."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Codec(Protocol):
    """Compresses the samples of one T_update together (section 3.2)."""

    def encode(self, frames: Sequence[Any], period_seconds: float) -> bytes:
        """At least one byte. period_seconds: the time that the frames stand for."""

    def decode(self, bitstream: bytes, count: int) -> list[Any]:
        """The `count` frames as the server sees them."""


@dataclass(frozen=True, kw_only=True)
class X264Codec:
    """The paper's, at half of its 200 Kbps: x264, two passes, preset medium, at most 1024 x 512.

    Frames are uint8 [H, W, 3] RGB, in one buffer all of one size; larger ones are scaled down,
    smaller ones keep their size, as ams-edge does.
    """

    target_bps: float = 100_000
    max_width: int = 1024
    max_height: int = 512
    preset: str = "medium"

    def __post_init__(self) -> None:
        """Raises ams.InvalidArgumentError or ValueError, which names what is allowed."""
        if min(self.max_width, self.max_height) < 16:
            raise ValueError(
                f"X264Codec: at most {self.max_width} x {self.max_height}; at least 16 x 16 is "
                "allowed"
            )
        _check_encoder(self.target_bps, self.preset)

    def encode(self, frames: Sequence[np.ndarray], period_seconds: float) -> bytes:
        from ams import video

        height, width = frames[0].shape[:2]
        size = {}
        if width > self.max_width or height > self.max_height:
            size = {
                "width": min(self.max_width, width) & ~1,
                "height": min(self.max_height, height) & ~1,
            }
        return video.encode_samples(
            list(frames), period_seconds, target_bps=self.target_bps, preset=self.preset, **size
        )

    def decode(self, bitstream: bytes, count: int) -> list[np.ndarray]:
        from ams import video

        return video.decode_samples(bitstream, count)


@functools.cache
def _check_encoder(target_bps: float, preset: str) -> None:
    from ams import video

    video.encode_samples(
        [np.zeros((16, 16, 3), np.uint8)], 1.0, target_bps=target_bps, preset=preset
    )


class PassThrough:
    """Frames of any kind arrive as they are; each counts `frame_bytes` on the link, at least 1,
    and a buffer at least 8.

    Keeps a buffer until it is decoded. For models whose inputs are not pictures, and for simulated
    load.
    """

    def __init__(self, *, frame_bytes: int = 1) -> None:
        if frame_bytes < 1:
            raise ValueError(f"PassThrough: frame_bytes is {frame_bytes}; it must be >= 1")
        self._frame_bytes = frame_bytes
        self._buffers: dict[bytes, list[Any]] = {}
        self._count = 0

    def encode(self, frames: Sequence[Any], period_seconds: float) -> bytes:
        self._count += 1
        key = self._count.to_bytes(8, "little")
        self._buffers[key] = list(frames)
        return key + bytes(max(0, self._frame_bytes * len(frames) - len(key)))

    def decode(self, bitstream: bytes, count: int) -> list[Any]:
        return self._buffers.pop(bytes(bitstream[:8]))
