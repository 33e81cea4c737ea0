"""Frames and label maps sent one by one, for the schemes that cannot wait for a buffer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ams import protocol
from ams.sim.link import message_socket_bytes, socket_bytes

JPEG_QUALITY = 95
MAX_WIDTH, MAX_HEIGHT = 1024, 512


def opencv() -> Any:
    """The module cv2. Raises ImportError that says how to get it."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError("this scheme needs OpenCV: pip install opencv-python-headless") from error
    cv2.setNumThreads(1)
    return cv2


def encode_frame(image: np.ndarray) -> bytes:
    """uint8 [H, W, 3] RGB as JPEG of quality 95, at most 1024 x 512 pixels: the full quality of
    section 4.1."""
    cv2 = opencv()
    height, width = image.shape[:2]
    if width > MAX_WIDTH or height > MAX_HEIGHT:
        size = (min(width, MAX_WIDTH), min(height, MAX_HEIGHT))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def decode_frame(picture: bytes) -> np.ndarray:
    """The frame as the server sees it: uint8 [H, W, 3] RGB."""
    cv2 = opencv()
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def encode_labels(labels: np.ndarray) -> bytes:
    """uint8 [H, W] class ids as PNG: lossless."""
    cv2 = opencv()
    return cv2.imencode(".png", labels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def frame_socket_bytes(picture: bytes, number: int, capture_seconds: float) -> int:
    """Of a FrameBatch that holds this one picture."""
    batch = protocol.FrameBatch(
        batch_id=number, capture_seconds=[capture_seconds], bitstream=picture
    )
    return message_socket_bytes(batch, from_device=True)


def payload_socket_bytes(payload_bytes: int) -> int:
    """Of a message from the server that is a kind and then so many bytes, as an Update is."""
    return socket_bytes(1 + payload_bytes, from_device=False)
