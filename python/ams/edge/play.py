"""The loop of a device that plays a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .. import _edge
from .device import Device

_MAX_LATENCIES = 1_000_000  # a camera runs for weeks


@dataclass
class Played:
    """What a device has seen of its video."""

    frames: int = 0  #: of the video, dropped ones included
    frames_dropped: int = 0  #: not predicted
    frames_late: int = 0  #: begun more than a frame's time after they were due
    video_seconds: float = 0.0  #: capture time of the latest frame
    latency_seconds: deque[float] = field(  #: from due to predicted, the latest
        default_factory=lambda: deque(maxlen=_MAX_LATENCIES)
    )


def play(
    device: Device,
    video: _edge.VideoSource,
    *,
    played: Played | None = None,
    output: _edge.PredictionOutput | None = None,
    on_prediction: Callable[[_edge.DueFrame, np.ndarray], None] | None = None,
    on_frame: Callable[[Played], None] | None = None,
    max_lag_seconds: float = 1.0,
    stop_after_seconds: float | None = None,
) -> Played:
    """Predicts every frame of a video when it is due, and offers it to the server.

    Until the video ends, `stop_after_seconds` on its timeline, video.stop() from another thread, or
    nobody reads the standard output that `output` writes to. A frame that is later than
    `max_lag_seconds` is dropped; of a live source only the newest one ever waits. `on_prediction`
    gets every frame with its labels, `on_frame` the counts after every frame. `played` is counted
    in, so that it says how far a video came that fails. Raises as the video and predict() do.
    """
    played = Played() if played is None else played
    while (due := video.next()) is not None:
        if stop_after_seconds is not None and due.capture_seconds >= stop_after_seconds:
            break
        played.frames_dropped += due.index - played.frames  # a newer one had come
        played.frames = due.index + 1
        played.video_seconds = due.capture_seconds
        lag = _edge.now_seconds() - due.due_seconds
        if lag > 1 / video.fps:
            played.frames_late += 1
        if lag > max_lag_seconds:
            played.frames_dropped += 1
        else:
            labels = device.predict(due.frame)
            latency = _edge.now_seconds() - due.due_seconds
            played.latency_seconds.append(latency)
            if output is not None:
                output.put(due.index, due.capture_seconds, latency, device.model_version, labels)
            if on_prediction is not None:
                on_prediction(due, labels)
        device.offer(due.capture_seconds, due.frame)
        if on_frame is not None:
            on_frame(played)
        if output is not None and output.closed:
            break
    return played
