"""Detection over a network: a server in a process of its own teaches a device in this one."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import ams
from ams._core import resize_frame

from .drive import DriveFrame
from .simulate import DetectionRun, Score
from .student import CentreNet, load_network
from .task import DetectionTask


class DriveTeacher:
    """Knows a drive's boxes: finds the frame that looks most like what it is shown."""

    def __init__(self, frames: Sequence[DriveFrame]) -> None:
        self._thumbnails = np.stack([_thumbnail(frame.image) for frame in frames])
        self._boxes = [frame.boxes for frame in frames]

    def __call__(self, frames: np.ndarray) -> list[np.ndarray]:
        """uint8 [N, H, W, 3] to N sets of boxes."""
        return [self._boxes[self._nearest(frame)] for frame in frames]

    def _nearest(self, frame: np.ndarray) -> int:
        return int(np.abs(self._thumbnails - _thumbnail(frame)).sum(axis=1).argmin())


def run_over_network(
    frames: Sequence[DriveFrame],
    weights: Path,
    task: DetectionTask,
    *,
    on_prediction: Callable[[DriveFrame, np.ndarray], None] = lambda frame, boxes: None,
    **policy: Any,
) -> DetectionRun:
    """Plays a drive in its own time to an ams.Device, which an ams.Server of another process
    teaches over TLS on loopback. weights: of a CentreNet. policy: keyword arguments of
    ams.FixedPolicy. Raises ams.Error, and EOFError when the server's process has ended."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    arguments = (frames, weights, task.classes, policy, there)
    server = context.Process(target=_serve, args=arguments, daemon=True)
    server.start()
    there.close()
    try:
        port, certificate = here.recv()
        result = _play(frames, weights, task, port, certificate, on_prediction)
        here.send("the end")
        status = here.recv()
    finally:
        here.close()
        server.join(timeout=30)
        if server.is_alive():
            server.terminate()
    result.updates = status["updates"]
    result.update_bytes_mean = status["update_bytes"] / max(1, status["updates"])
    return result


def _open(weights: Path, task: DetectionTask) -> CentreNet:
    network = CentreNet(len(task.classes))
    load_network(network, weights)
    return network.eval()


def _serve(
    frames: Sequence[DriveFrame],
    weights: Path,
    classes: Sequence[str],
    policy: dict[str, Any],
    device: Connection,
) -> None:
    """The server's process: says where it listens, and at the end what it has done."""
    import torch

    os.nice(10)  # the device must keep its frame rate on the same cores
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
    task = DetectionTask(classes, input_size=frames[0].image.shape[:2])
    server = ams.Server(
        _open(weights, task),
        DriveTeacher(frames),
        task,
        policy=lambda: ams.FixedPolicy(**policy),
        port=0,
        with_statistics=True,
    )
    with server:
        device.send((server.port, str(server.certificate)))
        try:
            device.recv()
        except EOFError:
            return
        device.send(server.status())


def _play(
    frames: Sequence[DriveFrame],
    weights: Path,
    task: DetectionTask,
    port: int,
    certificate: str,
    on_prediction: Callable[[DriveFrame, np.ndarray], None],
) -> DetectionRun:
    """The device's side."""
    task = DetectionTask(task.classes, input_size=frames[0].image.shape[:2])
    score, versions = Score(task), []
    device = ams.Device(
        f"127.0.0.1:{port}",
        _open(weights, task),
        task,
        ca=certificate,
        device_id="demo",
        first_batch_seconds=3,
        with_statistics=True,
    )
    with device:
        begin = time.monotonic()
        for frame in frames:
            time.sleep(max(0.0, begin + frame.seconds - time.monotonic()))
            boxes = device.predict(frame.image)
            device.offer(frame.image, frame.seconds)
            score.add(frame, boxes)
            on_prediction(frame, boxes)
            if not versions or versions[-1][1] != device.version:
                versions.append([frame.seconds, device.version])
        status = device.status
    seconds = frames[-1].seconds + (frames[1].seconds - frames[0].seconds)
    result = score.result("ams", seconds)
    result.versions = versions[1:]
    result.downlink_kbps = status["downlink_bytes"] * 8 / 1000 / seconds
    result.uplink_kbps = status["uplink_bytes"] * 8 / 1000 / seconds
    return result


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    small = resize_frame(np.ascontiguousarray(frame), width=48, height=24)
    return small.astype(np.float32).ravel()
