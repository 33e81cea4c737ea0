"""A device of a server, for programs that have frames of their own."""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from .. import _edge
from .. import bundle as bundles
from .._core import ClientCounters, ClientOptions, Manifest, ModelState, SegmentationTask, Task
from ..errors import InvalidArgumentError
from ..onnx_predictor import OnnxPredictor

_GOODBYE_SECONDS = 10.0


class Device:
    """A device whose student a server adapts while it predicts.

    `student`: a StudentBundle, or the path of its file; the server has the same one. `server`:
    HOST:PORT. `ca`: PEM file with the certificate to trust; empty: the system's. `token`: the
    server's secret. `device_id`: names the session that the server resumes; None: the host's name.
    `state`: file that keeps the adapted student for a restart; empty: none. `threads` and
    `execution_provider`: as of OnnxPredictor. `uplink_kbps`, `uplink_size` (width, height): bitrate
    and largest size of samples. `first_batch_seconds`: when the first samples leave.
    `insecure_accept_any_host_name`: accepts a trusted certificate of another host. `seed`: of the
    jitter between reconnections.

    It connects when it is entered (`with`) or by start(), and again whenever the link is lost.
    One thread at a time predicts; everything else may be called from every thread. An update is
    loaded beside the running network, so predict() waits for none. close() it, as leaving `with`
    does, to say goodbye and to save.

    Raises as bundle.read() and OnnxPredictor do; ams.InvalidArgumentError and ams.IoError for
    options that cannot work, and ams.ManifestMismatchError for the state of another student.
    """

    def __init__(
        self,
        student: bundles.StudentBundle | str | os.PathLike[str],
        *,
        server: str = "127.0.0.1:8443",
        ca: str | os.PathLike[str] = "",
        token: str = "",
        device_id: str | None = None,
        state: str | os.PathLike[str] = "",
        threads: int = 1,
        execution_provider: str = "CPU",
        uplink_kbps: float = 100,
        uplink_size: tuple[int, int] = (1024, 512),
        first_batch_seconds: float | None = None,
        insecure_accept_any_host_name: bool = False,
        seed: int = 1,
    ) -> None:
        if not isinstance(student, bundles.StudentBundle):
            student = bundles.read(student)
        self.bundle = student
        self._device = open_device(
            manifest=student.manifest,
            values=student.values,
            fingerprint=student.fingerprint,
            predictors=[
                OnnxPredictor(student, threads=threads, execution_provider=execution_provider)
                for _ in range(2)
            ],
            task=SegmentationTask(
                student.shown_classes, [], (student.input_height, student.input_width)
            ),
            server=server,
            ca=ca,
            token=token,
            device_id=device_id,
            state=state,
            uplink_kbps=uplink_kbps,
            uplink_size=uplink_size,
            first_batch_seconds=first_batch_seconds,
            insecure_accept_any_host_name=insecure_accept_any_host_name,
            seed=seed,
        )
        #: Number of the version that made the latest prediction.
        self.model_version = 0
        # Its threads must not outlive the interpreter.
        self._end = weakref.finalize(self, self._device.close, "the program has ended", 0)

    def start(self) -> None:
        """Connects. Once."""
        self._device.start()

    def predict(self, frame: np.ndarray) -> np.ndarray:
        """uint8 [H, W, 3], RGB, to class ids, uint8 [input_height, input_width], by the newest
        model. Raises ams.InvalidArgumentError."""
        labels = self._device.predict(frame)
        self.model_version = self._device.version.number
        return labels

    def offer(self, capture_seconds: float, frame: np.ndarray) -> None:
        """A frame, uint8 [H, W, 3], RGB, that may be sent as a sample. Never waits.

        `capture_seconds`: on the video's timeline, ascending. Offer every frame: the server says
        how many it wants.
        """
        self._device.offer(capture_seconds, frame)

    def close(self, reason: str = "", timeout_seconds: float = _GOODBYE_SECONDS) -> None:
        """Says goodbye, takes over what the server has sent until then, saves the state and ends
        all threads. Waits for the server no longer than the timeout. Does nothing a second time."""
        self._device.close(reason, timeout_seconds)
        self._end.detach()

    @property
    def status(self) -> dict[str, Any]:
        """sampling_rate_fps, update_interval_seconds, streaming, model_version, downlink_bytes and
        uplink_bytes. Waits for nothing."""
        return self._device.status

    @property
    def counters(self) -> ClientCounters:
        """What has happened so far. Waits while an update is being applied."""
        return self._device.counters

    @property
    def swap_seconds(self) -> list[float]:
        """What building a session from new values and swapping took, for the latest models."""
        return self._device.swap_seconds

    @property
    def stages(self) -> dict[str, dict[str, float]]:
        """mean and max, in seconds, and count of the stages of samples and updates."""
        return self._device.stages

    @property
    def held(self) -> ModelState:
        """The adapted student at the end. Raises ams.InvalidArgumentError before close()."""
        return self._device.held

    def __enter__(self) -> Device:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("" if error is None else "the program failed")


def open_device(
    *,
    manifest: Manifest,
    values: np.ndarray,
    fingerprint: int,
    predictors: Sequence[Any],
    task: Task,
    server: str,
    ca: str | os.PathLike[str],
    token: str,
    device_id: str | None,
    state: str | os.PathLike[str],
    uplink_kbps: float,
    uplink_size: tuple[int, int],
    first_batch_seconds: float | None,
    insecure_accept_any_host_name: bool,
    seed: int,
) -> _edge.Device:
    """The device of two copies of a student, Predictors of ams.parts. Raises as Device does."""
    host, port = parse_server(server)
    if not 1 <= uplink_kbps <= 1e6:
        raise InvalidArgumentError(f"uplink_kbps is {uplink_kbps}; allowed are 1 to 1000000")
    width, height = uplink_size
    if not (16 <= width <= 2048 and 16 <= height <= 2048):
        raise InvalidArgumentError(
            f"uplink_size is {uplink_size}; allowed are 16 to 2048 pixels each"
        )
    options: dict[str, Any] = {"token": token, "seed": seed}
    options["device_id"] = socket.gethostname() if device_id is None else device_id
    if first_batch_seconds is not None:
        options["first_batch_seconds"] = first_batch_seconds
    active, inactive = predictors
    return _edge.Device(
        manifest=manifest,
        values=values,
        fingerprint=fingerprint,
        active=active,
        inactive=inactive,
        task=task,
        state=os.fspath(state),
        host=host,
        port=port,
        ca=os.fspath(ca),
        accept_any_host_name=insecure_accept_any_host_name,
        uplink_bps=1000 * uplink_kbps,
        uplink_size=(width, height),
        options=ClientOptions(**options),
    )


def parse_server(server: str) -> tuple[str, int]:
    """Host and port. Raises ams.InvalidArgumentError."""
    host, _, port = server.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else 0
    if not host or (":" in host and not bracketed) or not 1 <= number <= 65535:
        raise InvalidArgumentError(
            f"the server '{server}' is not HOST:PORT with a port from 1 to 65535, e.g. "
            "127.0.0.1:8443 or [::1]:8443"
        )
    return host, number
