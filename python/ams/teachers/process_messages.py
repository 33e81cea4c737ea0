"""What a teacher in a process of its own and the process that asks it tell each other.

ams/runtime/process_teacher.hpp describes it. Connections of `multiprocessing` write the lengths.
"""

from __future__ import annotations

import struct

import numpy as np

_LABELS, _FAILURE = 0, 1
_MAX_TEXT_BYTES = 4096


def frames_message(frames: np.ndarray) -> bytes:
    """Of frames, uint8 [N, H, W, 3]."""
    return struct.pack("<3I", *frames.shape[:3]) + frames.tobytes()


def labels_message(labels: list[bytes]) -> bytes:
    """Of N packed labels, empty where a frame has none."""
    parts = [struct.pack("<2I", _LABELS, len(labels))]
    for label in labels:
        parts += [struct.pack("<I", len(label)), label]
    return b"".join(parts)


def failure_message(text: str) -> bytes:
    """Of what went wrong."""
    return struct.pack("<I", _FAILURE) + text.encode("utf-8", "replace")[:_MAX_TEXT_BYTES]


def parse_answer(message: bytes) -> list[bytes] | str:
    """What labels_message() or failure_message() wrote. Raises ValueError for other bytes."""
    try:
        (status,) = struct.unpack_from("<I", message)
        if status == _FAILURE:
            return message[4:].decode("utf-8", "replace")
        (count,) = struct.unpack_from("<I", message, 4)
        labels, at = [], 8
        for _ in range(count):
            (size,) = struct.unpack_from("<I", message, at)
            labels.append(message[at + 4 : at + 4 + size])
            at += 4 + size
    except struct.error as error:
        raise ValueError("an answer ends too early") from error
    if status != _LABELS or at != len(message):
        raise ValueError("an answer is not as long as it says")
    return labels
