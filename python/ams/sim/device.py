"""Drives the two state machines of one device: EdgeClient and ServerSession, over a link, in
virtual time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

import ams
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import Codec
from ams.sim.costs import Costs
from ams.sim.link import Connection, Link, message_socket_bytes

log = logging.getLogger(__name__)


class Device:
    """One device and its session on the server: the objects that ams-edge and ams-server drive,
    unchanged.

    The driver's part of docs/sessions.md. Work takes its time (Costs) on the shared accelerator;
    what it gives is computed at once and delivered when that time has passed. Not thread-safe.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        link: Link,
        accelerator: Accelerator,
        costs: Costs,
        client: ams.EdgeClient,
        session: ams.ServerSession,
        codec: Codec,
        label: Callable[[Any, float], Any | None],
        train: Callable[[ams.TrainingJob], ams.TrainingResult],
        publish: Callable[[np.ndarray], None] = lambda values: None,
        name: Hashable = 0,
    ) -> None:
        """label(frame, capture_seconds): the sample that the trainer learns from, None for a frame
        without labels. train: as Trainer.train. publish(values): the device now runs these float32
        values.
        name: this device's place in the accelerator's turns."""
        self.client = client
        self.session = session
        self._clock = clock
        self._accelerator = accelerator
        self._costs = costs
        self._codec = codec
        self._label = label
        self._train = train
        self._publish = publish
        self._name = name
        self._connection = Connection(clock, link, on_lost=self._lost)
        self.versions: list[list[float]] = []
        self.sampling_rates: list[list[float]] = []
        self.update_intervals: list[list[float]] = []
        clock.add_waker(
            lambda: client.next_wake_seconds, lambda: self._edge(client.on_time(clock.now_seconds))
        )
        clock.add_waker(
            lambda: session.next_wake_seconds,
            lambda: self._server(session.on_time(clock.now_seconds)),
        )

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
        self._edge(self.client.on_start(self._clock.now_seconds))
        self._note_rates()

    def stop(self, reason: str) -> None:
        """It ends in good order: what is on its way to it still arrives."""
        self._edge(self.client.on_stop(reason, self._clock.now_seconds))

    def on_frame(self, capture_seconds: float, frame: Any) -> None:
        """The device's camera has a frame."""
        if self.client.wants_frame(capture_seconds):
            self._edge(self.client.on_frame(capture_seconds, frame, self._clock.now_seconds))

    # ---- the device's side ----

    def _edge(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case ams.ConnectToServer():
                    self._connection.connect(
                        lambda: self._edge(self.client.on_connected(self._clock.now_seconds)),
                        lambda why: self._edge(
                            self.client.on_disconnected(why, self._clock.now_seconds)
                        ),
                    )
                case ams.SendToServer():
                    self._send_up(action.message)
                case ams.EncodeBuffer():
                    self._encode(action)
                case ams.Publish():
                    self._load(action.version, np.array(self.client.held.values))
                case ams.DisconnectServer():
                    self._connection.close(action.reason)
                case ams.Persist():
                    pass  # a simulated device does not restart

    def _send_up(self, message: Any) -> None:
        self._connection.send_up(
            message_socket_bytes(message, from_device=True),
            lambda: self._server(self.session.on_message(message, self._clock.now_seconds)),
        )

    def _encode(self, buffer: ams.EncodeBuffer) -> None:
        begin = time.perf_counter()
        bitstream = self._codec.encode(buffer.frames, buffer.period_seconds)
        seconds = self._costs.encoding_seconds(time.perf_counter() - begin)
        self._clock.after(
            seconds,
            lambda: self._edge(
                self.client.on_encoded(buffer.batch_id, bitstream, self._clock.now_seconds)
            ),
        )

    def _load(self, version: ams.ModelVersion, values: np.ndarray) -> None:
        def swapped() -> None:
            self.versions.append([self._clock.now_seconds, version.number])
            self._publish(values)
            self._edge(self.client.on_published(version, self._clock.now_seconds))

        self._clock.after(self._costs.publish_seconds, swapped)

    # ---- the server's side ----

    def _server(self, actions: list[Any]) -> None:
        for action in actions:
            match action:
                case ams.SendToDevice():
                    self._send_down(action.message)
                case ams.LabelBatch():
                    self._request_labels(action)
                case ams.TrainingDue():
                    self._accelerator.request((self._name, "train"), self._begin_phase)
                case ams.DisconnectDevice():
                    self._connection.close(action.reason)
        self._note_rates()

    def _send_down(self, message: Any) -> None:
        self._connection.send_down(
            message_socket_bytes(message, from_device=False),
            lambda: self._edge(self.client.on_message(message, self._clock.now_seconds)),
        )

    def _request_labels(self, batch: ams.LabelBatch) -> None:
        def label() -> tuple[float, Callable[[], None]]:
            frames = self._codec.decode(batch.bitstream, len(batch.capture_seconds))
            samples = []
            for seconds, frame in zip(batch.capture_seconds, frames, strict=True):
                sample = self._label(frame, seconds)
                if sample is not None:
                    samples.append((seconds, sample))
            return len(frames) * self._costs.teacher_seconds, lambda: self._server(
                self.session.on_labelled(batch.batch_id, samples, self._clock.now_seconds)
            )

        self._accelerator.request((self._name, "label"), label)

    def _begin_phase(self) -> tuple[float, Callable[[], None]] | None:
        if not self.session.training_due:
            return None  # the device has said goodbye meanwhile
        job = self.session.begin_phase(self._clock.now_seconds)
        batches = job.mini_batches
        iterations, batch_size = len(batches), len(batches[0])
        try:
            result = self._train(job)
        except ams.Error as error:  # as ams-server: the phase is lost, and nothing else
            reason = str(error)
            log.warning("%s: a training phase failed: %s", self._name, reason)
            seconds = self._costs.training_seconds(iterations, batch_size, 0.0)
            return seconds, lambda: self._server(
                self.session.on_phase_failed(reason, self._clock.now_seconds)
            )
        seconds = self._costs.training_seconds(iterations, batch_size, result.seconds)
        return seconds, lambda: self._server(
            self.session.on_phase_done(result, self._clock.now_seconds)
        )

    # ---- both ----

    def _lost(self, reason: str) -> None:
        log.debug("%.3f s: device %s disconnected: %s", self._clock.now_seconds, self._name, reason)
        self._edge(self.client.on_disconnected(reason, self._clock.now_seconds))
        self._server(self.session.on_disconnect(self._clock.now_seconds))

    def _note_rates(self) -> None:
        for trace, value in (
            (self.sampling_rates, self.session.sampling_rate_fps),
            (self.update_intervals, self.session.update_interval_seconds),
        ):
            if not trace or trace[-1][1] != value:
                trace.append([self._clock.now_seconds, value])
