"""One device and its server in virtual time: the library's own hosts over a simulated link."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

import ams
from ams import parts
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import Codec
from ams.sim.costs import Costs
from ams.sim.link import Connection, Link, message_socket_bytes

log = logging.getLogger(__name__)


class Device:
    """One device and its session on the server: an ams.DeviceHost and an ams.ServerHost of its own.

    Work takes its time (Costs), labelling and training on the shared accelerator; what it gives is
    computed when it begins and delivered when that time has passed. An exception of a part that is
    no ams.Error ends the simulation. Not thread-safe.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        link: Link,
        accelerator: Accelerator,
        costs: Costs,
        initial: ams.ModelState,
        task: ams.Task,
        make_policy: Callable[[], ams.UpdatePolicy],
        label: Callable[[Any, float], Any | None],
        trainer: parts.Trainer,
        codec: Codec,
        client: ams.ClientOptions,
        session: ams.SessionOptions,
        publish: Callable[[np.ndarray], None] = lambda values: None,
        predict: Callable[[Any], Any] = lambda frame: None,
        name: Hashable = 0,
    ) -> None:
        """label(frame, capture_seconds): as Teacher.label. publish(values): the device now runs
        these float32 values. predict(frame): what it says of a frame. name: this device's place in
        the accelerator's turns."""
        self._clock = clock
        self._connection = Connection(clock, link, on_lost=self._lost)
        self._connections = 0
        self._initial = initial
        self._device_id = client.device_id
        self._first_policy = make_policy()  # for the rates before the session begins
        self.versions: list[list[float]] = []
        self.sampling_rates: list[list[float]] = []
        self.update_intervals: list[list[float]] = []
        shared = {
            "codec": _FrameCodec(codec),
            "executor": _Executor(clock, accelerator, costs, name, self._finished),
            "log": _Log(name),
        }
        self._device = ams.DeviceHost(
            initial=initial,
            active=_Student(publish, predict),
            transport=_Uplink(self),
            task=task,
            options=client,
            **shared,
        )
        self._server = ams.ServerHost(
            initial=initial,
            task=task,
            make_policy=make_policy,
            teacher=_Teacher(label),
            trainer=trainer,
            transport=_Downlink(self),
            session=session,
            **shared,
        )
        clock.add_waker(lambda: self._device.next_wake_seconds, self._device.on_time)
        clock.add_waker(lambda: self._server.next_wake_seconds, self._server_time)

    @property
    def session(self) -> ams.SessionView | None:
        """None before the device has connected."""
        return self._server.session(self._device_id)

    @property
    def counters(self) -> ams.SessionCounters:
        """Of the session."""
        return self.session.counters if self.session else ams.SessionCounters()

    @property
    def digests_equal(self) -> bool:
        """Whether server and device hold the same values, bit for bit."""
        held = self.session.held if self.session else self._initial
        on_device = self._device.client.held
        return held.version == on_device.version and np.array_equal(held.values, on_device.values)

    @property
    def uplink_bytes(self) -> int:
        """Bytes on the device's socket so far."""
        return self._connection.uplink_bytes

    @property
    def downlink_bytes(self) -> int:
        return self._connection.downlink_bytes

    def busiest_downlink_bytes(self, window_seconds: float) -> int:
        """Most bytes to the device within any window of this length."""
        return self._connection.busiest_downlink_bytes(window_seconds)

    def start(self) -> None:
        """The device's program begins."""
        self._device.start()
        self._note_rates()

    def stop(self, reason: str) -> None:
        """It ends in good order: what is on its way to it still arrives."""
        self._device.leave(reason)

    def predict(self, frame: Any) -> Any:
        """What the device's model says of a frame; it sees scene changes by it."""
        return self._device.predict(frame)

    def on_frame(self, capture_seconds: float, frame: Any) -> None:
        """The device's camera has a frame."""
        self._device.offer(capture_seconds, frame)

    # ---- the link ----

    def connect(self) -> None:
        self._connection.connect(self._opened, self._device.on_disconnected)

    def _opened(self) -> None:
        self._connections += 1
        self._server.on_connected(self._connections, "a simulated device")
        self._device.on_connected()

    def send_up(self, message: parts.DeviceMessage) -> None:
        self._connection.send_up(
            message_socket_bytes(message, from_device=True), lambda: self._hear(message)
        )

    def _hear(self, message: parts.DeviceMessage) -> None:
        self._server.on_message(self._connections, message)
        self._note_rates()

    def send_down(self, message: parts.ServerMessage) -> None:
        self._connection.send_down(
            message_socket_bytes(message, from_device=False),
            lambda: self._device.on_message(message),
        )

    def close(self, reason: str) -> None:
        self._connection.close(reason)

    def _lost(self, reason: str) -> None:
        self._device.on_disconnected(reason)
        self._server.on_disconnected(self._connections, reason)
        self._note_rates()

    # ---- what is noted ----

    def _server_time(self) -> None:
        self._server.on_time()
        self._note_rates()

    def _finished(self, kind: str) -> None:
        if kind == "publish":
            self.versions.append([self._clock.now_seconds, self._device.model_version])
        self._note_rates()

    def _note_rates(self) -> None:
        rates = self.session or self._first_policy
        for trace, value in (
            (self.sampling_rates, rates.sampling_rate_fps),
            (self.update_intervals, rates.update_interval_seconds),
        ):
            if not trace or trace[-1][1] != value:
                trace.append([self._clock.now_seconds, value])


class _Executor(parts.Executor):
    """Virtual time. Labelling and training wait for a turn on the accelerator, the rest begins at
    once."""

    def __init__(
        self,
        clock: Clock,
        accelerator: Accelerator,
        costs: Costs,
        name: Hashable,
        on_finished: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._accelerator = accelerator
        self._costs = costs
        self._name = name
        self._on_finished = on_finished

    @property
    def now_seconds(self) -> float:
        return self._clock.now_seconds

    def post(self, function: Callable[[], None]) -> None:
        function()

    def submit(self, work: ams.Work) -> None:
        if work.kind in ("label", "train"):
            self._accelerator.request((self._name, work.kind), lambda: self._begin(work))
            return
        begun = self._begin(work)
        if begun is None:
            return
        seconds, finish = begun
        if work.kind == "sample":
            finish()
        else:
            self._clock.after(seconds, finish)

    def forget(self, session: str) -> None:
        pass  # a server of one device has room for it

    def _begin(self, work: ams.Work) -> tuple[float, Callable[[], None]] | None:
        cost = work.run()
        if cost is None:
            return None

        def finish() -> None:
            work.finish()
            self._on_finished(work.kind)

        return self._seconds(work.kind, cost), finish

    def _seconds(self, kind: str, cost: ams.WorkCost) -> float:
        match kind:
            case "label":
                return cost.frames * self._costs.teacher_seconds
            case "train":
                return self._costs.training_seconds(
                    cost.iterations, cost.batch_size, cost.measured_seconds, cost.frames
                )
            case "encode":
                return self._costs.encoding_seconds(cost.frames, cost.measured_seconds)
            case "publish":
                return self._costs.publish_seconds
        return 0.0


class _Uplink(parts.DeviceTransport):
    def __init__(self, device: Device) -> None:
        self._device = device

    def connect(self) -> None:
        self._device.connect()

    def send(self, message: parts.DeviceMessage) -> None:
        self._device.send_up(message)

    def close(self, reason: str) -> None:
        self._device.close(reason)


class _Downlink(parts.ServerTransport):
    def __init__(self, device: Device) -> None:
        self._device = device

    def send(self, connection: int, message: parts.ServerMessage) -> None:
        self._device.send_down(message)

    def close(self, connection: int, reason: str) -> None:
        self._device.close(reason)


class _FrameCodec(parts.FrameCodec):
    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.encode = codec.encode

    def decode(self, bitstream: bytes, capture_seconds: list[float]) -> list[Any]:
        return self._codec.decode(bitstream, len(capture_seconds))


class _Teacher(parts.Teacher):
    def __init__(self, label: Callable[[Any, float], Any | None]) -> None:
        self.label = label


class _Student(parts.Predictor):
    """The device's model as far as the host needs it: whoever scores it runs it."""

    def __init__(
        self, publish: Callable[[np.ndarray], None], predict: Callable[[Any], Any]
    ) -> None:
        self.load = publish
        self.predict = predict


class _Log(parts.LogSink):
    """What has failed is a warning; all else is for whoever debugs."""

    def __init__(self, name: Hashable) -> None:
        self._name = name

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        text = " ".join(f"{key}={value}" for key, value in fields.items())
        report = log.warning if event.endswith("_failed") else log.debug
        report("device %s: %s %s", self._name, event, text)
