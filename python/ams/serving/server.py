"""A real server as an object, and as one blocking call."""

from __future__ import annotations

import atexit
import inspect
import ipaddress
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from .._core import FixedPolicy, SessionOptions, UpdatePolicy
from ..errors import InvalidArgumentError, UnavailableError
from .guard import (
    LOG,
    EventLog,
    Failures,
    GuardedPredictor,
    GuardedTask,
    GuardedTeacher,
    GuardedTrainer,
)
from .segmentation import SegmentationTask
from .student import Roles, open_student

if TYPE_CHECKING:
    import torch

    from ..bundle import StudentBundle
    from ..torch import StudentSpec

_DEFAULT_PORT = 8443
_CERTIFICATE_DAYS = 3650
_HOSTS = ("localhost", "127.0.0.1", "::1")
_running: set[Server] = set()  # a server lives until stop(), whoever has forgotten it


class Server:
    """A server that teaches devices over a network while this program does other things.

        with ams.Server(model, teacher, port=0) as server:
            print(server.port, server.certificate)
            ...
            print(server.status())

    `student`: a torch.nn.Module, which stays as it is (copies are trained), the path of a student
    bundle, or an ams.torch.StudentSpec. Devices run the same: ams.Device with an equal module or
    StudentSpec, or ams.Device, `python -m ams.edge` and `ams-edge` with the bundle.
    `teacher`: a function of frames, uint8 [N, H, W, 3], RGB, read-only, that gives N labels, as a
    sequence or an array [N, ...]; None for a frame without one. For the task "segmentation" a label
    has whole numbers [h, w] of any size, the class ids, 255 where nobody knows.
    `task`: "segmentation", an ams.SegmentationTask, or an object of a class derived from
    ams.ModuleTask, which has a loss() and a predict() of its own.

    input_size, classes: for task="segmentation" and a module: (height, width) that the module sees,
    by default (128, 256); how many classes or their names, by default as many as the module gives.
    policy: a function or class that gives a new ams.UpdatePolicy for each device, e.g.
    `lambda: ams.FixedPolicy(update_interval_seconds=5)`; by default ams.FixedPolicy.
    address, port: to listen on; port 0: any free one, which `port` tells.
    certificate, private_key: PEM files, as `ams-server --generate-certificate` makes them. By
    default a pair for this machine is made in data_dir/tls, or else for this server alone; devices
    are given `certificate` as their `ca`.
    token: secret that devices must know. credentials: file of tokens for single devices, as
    `ams-server devices add` writes it; by default data_dir/devices where it is. Without either only
    this machine may be served, unless open=True lets everybody in.
    data_dir: folder that keeps the sessions, so that a new server goes on with them; None: nowhere.
    device: where the student is trained, e.g. "cuda"; by default the CPU.
    teacher_frames: most frames that the teacher gets at once, >= 1.
    with_statistics, normalization, head: as of ams.torch.ModuleTrainer.
    session: ams.SessionOptions of all devices. max_devices: sessions kept.

    The constructor listens; start() or `with` lets devices in. Labels, training and pictures have
    a thread each; the network has its own in C++ and goes on whatever these do. What the teacher
    or the task raises costs the batch or phase, and the logger ams.serve has the traceback. A
    teacher that hangs holds up labels alone. https://ADDRESS:PORT/ is the operator's page, /metrics
    is for Prometheus. Every method may be called from every thread.

    Raises ams.InvalidArgumentError for what cannot work, before it listens; ams.IoError where the
    address is taken; ams.UnavailableError where a layer of the package, or data_dir, is not there.
    """

    def __init__(
        self,
        student: torch.nn.Module | StudentSpec | StudentBundle | str | os.PathLike[str],
        teacher: Callable[[np.ndarray], Any],
        task: Any = "segmentation",
        *,
        input_size: tuple[int, int] | None = None,
        classes: int | Sequence[str] | None = None,
        policy: Callable[[], UpdatePolicy] = FixedPolicy,
        address: str = "127.0.0.1",
        port: int = _DEFAULT_PORT,
        certificate: str | os.PathLike[str] | None = None,
        private_key: str | os.PathLike[str] | None = None,
        token: str | None = None,
        credentials: str | os.PathLike[str] | None = None,
        open: bool = False,
        data_dir: str | os.PathLike[str] | None = None,
        device: torch.device | str | None = None,
        teacher_frames: int = 16,
        with_statistics: bool = False,
        normalization: Sequence[str] = (),
        head: Sequence[str] = (),
        session: SessionOptions | None = None,
        max_devices: int = 64,
    ) -> None:
        native = _native()
        if not callable(teacher):
            raise InvalidArgumentError(
                f"the teacher is {type(teacher).__name__}; allowed is a function of frames, uint8 "
                "[N, H, W, 3], that gives N labels"
            )
        if isinstance(policy, UpdatePolicy) or not callable(policy):
            raise InvalidArgumentError(
                f"policy is {policy!r:.100}; allowed is a function that gives a new policy for "
                "each device, e.g. lambda: ams.FixedPolicy(update_interval_seconds=5)"
            )
        if not 0 <= port <= 65535:
            raise InvalidArgumentError(f"port is {port}; allowed is 0 to 65535")
        if teacher_frames < 1:
            raise InvalidArgumentError(f"teacher_frames is {teacher_frames}; allowed is 1 or more")
        if credentials is None and data_dir is not None:
            known = Path(data_dir, "devices")
            credentials = known if known.exists() else None
        if not (token or credentials or open or _is_loopback(address)):
            raise InvalidArgumentError(
                f"without a token every device that reaches {address} is let in: give a token or "
                "credentials, listen on 127.0.0.1, or say open=True"
            )
        opened = open_student(
            student,
            task,
            input_size=input_size,
            classes=classes,
            device=device,
            roles=Roles(with_statistics, normalization, head),
        )
        failures = Failures()
        self.task = opened.task  #: the task object
        self.address = address
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.certificate, key = self._certificate(native, certificate, private_key, data_dir)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], None]] = []
        self._server = native.Server(
            initial=opened.initial,
            task=self.task
            if isinstance(self.task, SegmentationTask)
            else GuardedTask(self.task, failures),
            make_policy=policy,
            teacher=GuardedTeacher(teacher, self.task, failures),
            teacher_frames=teacher_frames,
            trainer=GuardedTrainer(opened.trainer(), failures),
            predictor=GuardedPredictor(opened.predictor(), failures),
            fingerprint=opened.fingerprint,
            session=session or SessionOptions(),
            max_devices=max_devices,
            wrong_student_text="the device runs another student than this server trains: give "
            "both ends the same bundle, or equal modules with the same task",
            data_dir=None if data_dir is None else os.fspath(data_dir),
            address=address,
            port=port,
            certificate=self.certificate,
            private_key=key,
            tokens=[token] if token else [],
            credentials=credentials,
            log=EventLog(),
            log_level=_log_level(),
        )
        self._state = "new"

    # ---- life

    def start(self) -> Server:
        """Lets devices in, until stop(). Once. Gives the server."""
        with self._lock:
            if self._state != "new":
                raise InvalidArgumentError("a server starts once: make a new one")
            self._state = "started"
            _running.add(self)
        self._server.start()
        return self

    def stop(self) -> None:
        """Ends in order, within about 5 s: the update of a phase that ends soon still leaves, and
        sessions are kept. What the teacher or a phase still does then is left to end by itself.
        Does nothing a second time."""
        with self._lock:
            if self._state == "stopped":
                return
            self._state = "stopped"
        try:
            if not self._server.stop():
                LOG.warning("the teacher or a phase has not ended; its thread is left behind")
        finally:
            _running.discard(self)
            self._stopped.set()
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for tell in waiting:
                tell()
            if self._folder is not None:
                self._folder.cleanup()

    async def wait(self) -> None:
        """Until somebody calls stop()."""
        import asyncio

        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def tell() -> None:
            loop.call_soon_threadsafe(stopped.set)

        with self._lock:
            if self._stopped.is_set():
                return
            self._waiting.append(tell)
        await stopped.wait()

    def run(self) -> dict[str, Any]:
        """Serves until Ctrl-C, SIGTERM or stop(), then ends in order. Gives status()."""
        stop = threading.Event()
        signals: dict[int, Any] = {}

        def on_signal(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, signals[number])  # the second one ends the program
            stop.set()

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signals[number] = signal.getsignal(number) or signal.SIG_DFL
                signal.signal(number, on_signal)
        with self._lock:
            self._waiting.append(stop.set)
        try:
            with self:
                print(
                    f"serving on {self.address}:{self.port}; devices need {self.certificate}",
                    file=sys.stderr,
                    flush=True,
                )
                stop.wait()
        finally:
            for caught, before in signals.items():
                signal.signal(caught, before)
        status = self.status()
        print(
            "served {devices} devices: {samples} samples, {phases} phases, {updates} updates of "
            "{update_bytes} bytes, {failures} failures".format_map(status),
            file=sys.stderr,
            flush=True,
        )
        return status

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- what there is to see

    @property
    def port(self) -> int:
        """The port listened on."""
        port: int = self._server.port
        return port

    def devices(self) -> list[dict[str, Any]]:
        """All devices, as GET /api/devices of the operator's page has them: id, connected, version,
        score_adapted, loss, updates, last_error and more. After stop(), as they were then."""
        devices: list[dict[str, Any]] = json.loads(self._server.devices() or "{}").get(
            "devices", []
        )
        return devices

    def status(self) -> dict[str, Any]:
        """The sums over all devices: devices, connected, samples, phases, updates, update_bytes and
        failures (of batches and phases)."""
        devices = self.devices()
        sums = {
            name: sum(device[name] for device in devices)
            for name in ("connected", "samples", "phases", "updates", "update_bytes")
        }
        failures = sum(
            device["errors"]["phases_failed"] + device["errors"]["batches_failed"]
            for device in devices
        )
        return {"devices": len(devices), **sums, "failures": failures}

    def metrics(self) -> str:
        """Prometheus text about the sessions. Raises ams.InvalidArgumentError after stop()."""
        text: str = self._server.metrics()
        return text

    # ---- an operator; each raises ams.InvalidArgumentError for a device without a session

    def pause(self, device_id: str) -> None:
        """No phase begins any more; the device keeps its model. Labelling goes on."""
        self._server.set_paused(device_id, True)

    def resume(self, device_id: str) -> None:
        """The end of pause()."""
        self._server.set_paused(device_id, False)

    def reset(self, device_id: str) -> None:
        """Gives the device the un-customised student as its next version. Raises
        ams.UnavailableError while an update of it is being kept."""
        self._server.reset(device_id)

    def roll_back(self, device_id: str) -> None:
        """Likewise, with the newest of its earlier states. Raises ams.UnavailableError where none
        is left."""
        self._server.roll_back(device_id)

    def disconnect(self, device_id: str, reason: str = "") -> None:
        """Ends its connection, if it has one; its session stays, and it may come back."""
        self._server.disconnect(device_id, reason)

    # ---- the certificate

    def _certificate(
        self,
        native: Any,
        certificate: str | os.PathLike[str] | None,
        private_key: str | os.PathLike[str] | None,
        data_dir: str | os.PathLike[str] | None,
    ) -> tuple[Path, Path]:
        if (certificate is None) != (private_key is None):
            raise InvalidArgumentError("give certificate and private_key, or neither")
        if certificate is not None and private_key is not None:
            return Path(certificate), Path(private_key)
        if data_dir is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ams-serve-")
            folder = Path(self._folder.name)
        else:
            folder = Path(data_dir, "tls")
            for made in (folder.parent, folder):
                made.mkdir(mode=0o700, parents=True, exist_ok=True)
        pair = folder / "certificate.pem", folder / "private_key.pem"
        if not all(file.exists() for file in pair):
            native.write_self_signed_certificate(*pair, list(_HOSTS), _CERTIFICATE_DAYS)
        return pair


_Parameters = ParamSpec("_Parameters")


def _blocking(
    make: Callable[_Parameters, Server], documentation: str
) -> Callable[_Parameters, dict[str, Any]]:
    def serve(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> dict[str, Any]:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        return make(*args, **kwargs).run()

    serve.__doc__ = documentation
    serve.__module__ = "ams"
    serve.__qualname__ = "serve"
    signature = inspect.signature(make).replace(return_annotation="dict[str, Any]")
    serve.__signature__ = signature  # type: ignore[attr-defined]
    return serve


serve = _blocking(
    Server,
    f"""Teaches devices over a network until Ctrl-C or SIGTERM, then ends in order.

    Gives, and prints, what was done: Server.status(). The log goes to stderr, unless `logging` is
    set up before (logger ams.serve). ams.Server has the same arguments and does not block.

{(Server.__doc__ or "").partition("print(server.status())")[2].lstrip(chr(10))}""",
)


@atexit.register
def _stop_all() -> None:
    """Threads must not outlive the interpreter."""
    for server in list(_running):
        server.stop()


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError as error:
        raise InvalidArgumentError(
            f"address is {address!r}; allowed is an IPv4 or IPv6 address of this machine"
        ) from error


def _log_level() -> str:
    level = LOG.getEffectiveLevel()
    names = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))
    return next((name for least, name in names if level >= least), "debug")


def _native() -> Any:
    try:
        from .. import _serve
    except ImportError as error:
        raise UnavailableError(
            f"ams.serve needs the layers video, net and store ({error}); install libav, Boost, "
            "OpenSSL, FlatBuffers and SQLite (Debian: libavcodec-dev libavformat-dev "
            "libavdevice-dev libavutil-dev libswscale-dev nlohmann-json3-dev libboost-dev "
            "libssl-dev libflatbuffers-dev flatbuffers-compiler libsqlite3-dev) and build the "
            "package again: pip install --force-reinstall --no-deps <folder of libams>"
        ) from error
    return _serve
