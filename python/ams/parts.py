"""What the hosts are made of: any objects with these methods (ams.ServerHost, ams.DeviceHost).

Derive from these classes, or write a class with the same methods. Frames, labels and predictions
are any objects, which the task must know (ams.Task). A method that cannot do its work raises an
ams.Error; any other exception comes out of the call to the host that led to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

import ams
from ams import protocol

__all__ = [
    "DeviceTransport",
    "Executor",
    "FrameCodec",
    "LogSink",
    "Predictor",
    "ServerTransport",
    "SessionStore",
    "Teacher",
    "Trainer",
]

DeviceMessage = (
    protocol.Hello | protocol.FrameBatch | protocol.Ack | protocol.Refusal | protocol.Bye
)
ServerMessage = (
    protocol.Welcome
    | protocol.Control
    | protocol.Update
    | protocol.Snapshot
    | protocol.SnapshotPart
    | protocol.Fault
    | protocol.Bye
)


class Teacher(Protocol):
    """Labels frames for the student to learn from (Algorithm 1, line 7)."""

    def label(self, frame: Any, capture_seconds: float) -> Any:
        """The label of one frame; None for a frame without one."""


class Trainer(Protocol):
    """Runs training phases (Algorithm 2): ams.torch has ModuleTrainer and SegmentationTrainer."""

    manifest: ams.Manifest

    def train(self, job: ams.TrainingJob) -> ams.TrainingResult:
        """One phase."""


class Predictor(Protocol):
    """One copy of the student as a device runs it."""

    manifest: ams.Manifest

    def load(self, values: np.ndarray) -> None:
        """Takes over float32 [dimension], an array of its own."""

    def predict(self, frame: Any) -> Any:
        """What the student says of a frame."""


class FrameCodec(Protocol):
    """How sampled frames travel (section 3.2): a buffer of frames to bytes, and back."""

    def reduce(self, frame: Any) -> Any:
        """Device: a frame as it is kept until its buffer leaves. By default as it is."""
        return frame

    def encode(self, frames: Sequence[Any], period_seconds: float) -> bytes:
        """Device: at least one byte. period_seconds: the time that the frames stand for."""

    def decode(self, bitstream: bytes, capture_seconds: Sequence[float]) -> list[Any]:
        """Server: as many frames as capture times."""


class Executor(Protocol):
    """Where a host runs. In virtual time it calls `run` when a work's turn has come, and `finish`
    when a modelled time has passed."""

    now_seconds: float

    def post(self, function: Callable[[], None]) -> None:
        """Runs a function on the host's thread, in virtual time now."""

    def submit(self, work: ams.Work) -> None:
        """Work that waits for its turn."""

    def forget(self, session: str) -> None:
        """Drops all work of a session that has not begun."""


class ServerTransport(Protocol):
    """Carries messages to devices. None of its methods calls the host: what follows comes later."""

    def send(self, connection: int, message: ServerMessage) -> None:
        """Queues a message. Nothing happens when the connection is gone."""

    def close(self, connection: int, reason: str) -> None:
        """Sends what is queued, then closes. ServerHost.on_disconnected() follows."""

    def counters(self, connection: int) -> tuple[int, int]:
        """Bytes of the connection so far, up and down. By default none are counted."""
        return 0, 0


class DeviceTransport(Protocol):
    """Carries messages to the server. None of its methods calls the host: what follows comes
    later."""

    def connect(self) -> None:
        """DeviceHost.on_connected() or on_disconnected() follows."""

    def send(self, message: DeviceMessage) -> None:
        """Queues a message."""

    def close(self, reason: str) -> None:
        """Sends what is queued, then closes, or gives up connecting. on_disconnected() follows."""

    def counters(self) -> tuple[int, int]:
        """Bytes over the device's life, up and down. By default none are counted."""
        return 0, 0


class SessionStore(Protocol):
    """Where a server keeps its sessions."""

    def load(self, device_id: str) -> ams.SessionRecord | None:
        """What was kept last."""

    def save(self, record: ams.SessionRecord) -> None:
        """Keeps this instead. The update leaves when it returns. When it raises, the device keeps
        its model, and the next phase is saved anew."""

    def erase(self, device_id: str) -> None:
        """Forgets a device."""


class LogSink(Protocol):
    """Takes the events that hosts report."""

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """level: debug, info, warning or error. event: a short, stable name. Does not call the
        host."""
