"""What people are told of a device: a line a while, and a report at the end."""

from __future__ import annotations

import json
import math
import sys
from collections import deque
from collections.abc import Iterable
from typing import TextIO

from .. import _edge
from .device import Device
from .play import Played

_WINDOW_SECONDS = 10.0
_LINE_SECONDS = 5.0


class StatusLine:
    """The device in one line, as ams-edge shows it. `mode`: auto, line or none."""

    def __init__(self, device: Device, mode: str, stream: TextIO) -> None:
        self._device, self._mode, self._stream = device, mode, stream
        self._rewrites = mode == "auto" and stream.isatty()
        self._next_seconds = self._next_line_seconds = 0.0
        self._links: deque[tuple[float, int, int]] = deque()

    def show(self, played: Played, *, last: bool = False) -> None:
        """After every frame."""
        seconds = played.video_seconds
        if self._mode == "none" or (not last and seconds < self._next_seconds):
            return
        self._next_seconds = math.floor(seconds) + 1
        now = self._device.status
        self._links.append((seconds, now["downlink_bytes"], now["uplink_bytes"]))
        while len(self._links) > 2 and self._links[0][0] < seconds - _WINDOW_SECONDS:
            self._links.popleft()
        if not self._rewrites and not last and seconds < self._next_line_seconds:
            return
        self._next_line_seconds = math.floor(seconds) + _LINE_SECONDS
        begin, down, up = self._links[0]
        per_second = 8 / 1000 / max(seconds - begin, 1e-9)
        latest = list(played.latency_seconds)[-100:]
        text = (
            f"{seconds:5.0f} s  down {(now['downlink_bytes'] - down) * per_second:6.1f}  up "
            f"{(now['uplink_bytes'] - up) * per_second:6.1f} Kbps  sampling "
            f"{now['sampling_rate_fps']:.2f}/s  model v{now['model_version']:<3}  "
            f"{1000 * percentile(latest, 0.5):5.1f} ms/frame"
            f"{'' if now['streaming'] or last else '  offline'}"
        )
        if self._rewrites:
            text = f"\r{text:<90}"
        print(text, end="\n" if last or not self._rewrites else "", file=self._stream, flush=True)


def write_report(
    path: str,
    device: Device,
    video: _edge.VideoSource,
    played: Played,
    output: _edge.PredictionOutput | None,
    failure: str,
) -> None:
    """With the names that the report of ams-edge has. After close(). Raises ams.IoError."""
    seconds = max(played.video_seconds, 1e-9)
    status, counters, version = device.status, device.counters, device.held.version
    report: dict[str, object] = {
        "clip": video.name,
        "student": str(device.bundle.path),
        "seconds": seconds,
    }
    if failure:
        report["error"] = failure
    for name in ("downlink", "uplink"):
        report[f"{name}_bps"] = 8 * status[f"{name}_bytes"] / seconds
        report[f"{name}_bytes"] = status[f"{name}_bytes"]
    report |= {
        "updates": counters.updates,
        "update_bytes_mean": counters.update_bytes / counters.updates if counters.updates else 0,
        "snapshots": counters.snapshots,
        "refusals": counters.refusals,
        "connections": counters.connections,
        "frames": played.frames,
        "frames_dropped": played.frames_dropped,
        "frames_late": played.frames_late,
        "video_losses": video.times_lost,
        "frames_sampled": counters.frames_sampled,
        "samples_dropped": counters.frames_dropped,
        "batches_refused": counters.batches_refused,
    }
    if output is not None:
        report["output"] = output.report
    report |= {
        "frame_latency_ms": _percentiles_ms(played.latency_seconds),
        "stage_seconds": device.stages,
        "scene_changes": counters.scene_changes,
        "swap_ms": _percentiles_ms(device.swap_seconds),
        "digest": f"{version.digest:016x}",
        "model_version": version.number,
    }
    _edge.write_file_atomically(path, json.dumps(report, indent=2) + "\n")


def percentile(values: Iterable[float], fraction: float) -> float:
    """The value below which so many of them lie (nearest rank); 0 for none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(fraction * len(ordered)), 1) - 1]


def _percentiles_ms(seconds: Iterable[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"p50": 1000 * percentile(ordered, 0.5), "p99": 1000 * percentile(ordered, 0.99)}


def standard_stream(is_output: bool) -> TextIO:
    """Where lines for people go: not where predictions do."""
    return sys.stderr if is_output else sys.stdout
