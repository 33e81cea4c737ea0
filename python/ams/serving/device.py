"""The other end of ams.serve: a device in a script, a notebook, a robot or a test."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import bundle as bundles
from .._core import ClientCounters, ModelState
from ..errors import InvalidArgumentError, UnavailableError
from .guard import Failures, GuardedTask
from .segmentation import SegmentationTask
from .student import Roles, check_task, open_student, segmentation_of

if TYPE_CHECKING:
    import torch

    from ..torch import StudentSpec

_GOODBYE_SECONDS = 10.0


class Device:
    """A device whose student a server adapts while it predicts.

        with ams.Device("192.168.1.20:8443", model, ca="certificate.pem") as device:
            for frame in camera:
                labels = device.predict(frame)
                device.offer(frame)

    `server`: HOST:PORT of ams.serve or ams-server. `student`: the path of a student bundle, which
    runs in ONNX Runtime without torch, or a torch.nn.Module or ams.torch.StudentSpec equal to the
    server's, weights included; a module stays as it is. `task`, `input_size`, `classes`: as the
    server's; a bundle says them.

    ca: PEM file with the certificate to trust, ams.Server.certificate; empty: the system's.
    token: the server's secret. device_id: names the session that the server resumes; None: the
    host's name. state: file that keeps the adapted student for a restart; empty: none.
    device: where a module runs, e.g. "cuda". threads: of ONNX Runtime. with_statistics: as the
    server's. uplink_kbps, uplink_size: bitrate and largest size (width, height) of samples.
    first_batch_seconds: when the first samples leave. insecure_accept_any_host_name: accepts a
    trusted certificate of another host. seed: of the jitter between reconnections.

    It connects at once, and again whenever the link is lost. An update is loaded beside the
    running copy, so predict() waits for none. close() it, as leaving `with` does, to say goodbye
    and to save. One thread at a time predicts; all else may be called from every thread.

    Raises ams.InvalidArgumentError and ams.IoError for what cannot work, ams.MalformedDataError for
    a damaged bundle, ams.ManifestMismatchError for the state of another student, and
    ams.UnavailableError where torch, onnxruntime or a layer of the package is not there.
    """

    def __init__(
        self,
        server: str,
        student: torch.nn.Module | StudentSpec | bundles.StudentBundle | str | os.PathLike[str],
        task: Any = "segmentation",
        *,
        input_size: tuple[int, int] | None = None,
        classes: int | Sequence[str] | None = None,
        ca: str | os.PathLike[str] = "",
        token: str = "",
        device_id: str | None = None,
        state: str | os.PathLike[str] = "",
        device: torch.device | str | None = None,
        threads: int = 1,
        with_statistics: bool = False,
        uplink_kbps: float = 100,
        uplink_size: tuple[int, int] = (1024, 512),
        first_batch_seconds: float | None = None,
        insecure_accept_any_host_name: bool = False,
        seed: int = 1,
    ) -> None:
        try:
            from ..edge.device import open_device
            from ..onnx_predictor import OnnxPredictor
        except ImportError as error:
            raise UnavailableError(f"ams.Device needs what ams.edge needs: {error}") from error
        check_task(task)
        self.task: Any  #: the task object
        if isinstance(student, (str, os.PathLike, bundles.StudentBundle)):
            if not isinstance(student, bundles.StudentBundle):
                student = bundles.read(student)
            if device is not None:
                raise InvalidArgumentError("device is for a module; a bundle runs on the CPU")
            self.task = segmentation_of(
                student, task, input_size, classes, names=student.class_names
            )
            predictors: list[Any] = [OnnxPredictor(student, threads=threads) for _ in range(2)]
            initial, fingerprint = (student.manifest, student.values), student.fingerprint
        else:
            opened = open_student(
                student,
                task,
                input_size=input_size,
                classes=classes,
                device=device,
                roles=Roles(with_statistics),
            )
            self.task = opened.task
            predictors = [opened.predictor() for _ in range(2)]
            initial = opened.initial.manifest, opened.initial.values
            fingerprint = opened.fingerprint
        self._device = open_device(
            manifest=initial[0],
            values=initial[1],
            fingerprint=fingerprint,
            predictors=predictors,
            task=self.task
            if isinstance(self.task, SegmentationTask)
            else GuardedTask(self.task, Failures()),
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
        # Its threads must not outlive the interpreter.
        self._end = weakref.finalize(self, self._device.close, "the program has ended", 0)
        self._device.start()

    # ---- frames

    def predict(self, frame: np.ndarray) -> Any:
        """What the newest student says of a frame, uint8 [H, W, 3], RGB: class ids, uint8
        [height, width], or what the task's predict() gives. Raises what these raise."""
        return self._device.predict(frame)

    def offer(self, frame: np.ndarray, time_seconds: float | None = None) -> None:
        """A frame, uint8 [H, W, 3], RGB, that may be sent as a sample. Never waits. Offer every
        one: the server says how many it wants.

        `time_seconds`: on the video's timeline, ascending; None: now.
        """
        self._device.offer(time.monotonic() if time_seconds is None else time_seconds, frame)

    def close(self, reason: str = "", timeout_seconds: float = _GOODBYE_SECONDS) -> None:
        """Says goodbye, takes over what the server has sent until then, saves the state and ends
        all threads. Waits for the server no longer than the timeout. Does nothing a second time."""
        self._device.close(reason, timeout_seconds)
        self._end.detach()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("" if error is None else "the program failed")

    # ---- what there is to see

    @property
    def version(self) -> int:
        """Number of the version that made the latest prediction; it grows with every update."""
        number: int = self._device.version.number
        return number

    @property
    def digest(self) -> int:
        """Digest of that version: equal on server and device. 64 bits."""
        digest: int = self._device.version.digest
        return digest

    @property
    def status(self) -> dict[str, Any]:
        """sampling_rate_fps, update_interval_seconds, streaming, model_version (that would predict
        now), downlink_bytes and uplink_bytes. Waits for nothing."""
        status: dict[str, Any] = self._device.status
        return status

    @property
    def counters(self) -> ClientCounters:
        """What has happened so far. Waits while an update is being applied."""
        return self._device.counters

    @property
    def held(self) -> ModelState:
        """The adapted student at the end. Raises ams.InvalidArgumentError before close()."""
        return self._device.held
