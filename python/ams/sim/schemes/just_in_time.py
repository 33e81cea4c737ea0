"""Online distillation on the newest frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

import ams
from ams import protocol
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.link import Connection, message_socket_bytes
from ams.sim.resize import resize_nearest
from ams.sim.result import RunResult
from ams.sim.running_student import RunningStudent
from ams.sim.schemes.pictures import (
    decode_frame,
    encode_frame,
    frame_socket_bytes,
    opencv,
    payload_socket_bytes,
)
from ams.sim.setting import Setting
from ams.sim.stream import Stream

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class JustInTime:
    """Trains on the newest frame until its training accuracy meets a threshold (section 4.1).

    The device sends a frame as JPEG of quality 95; the server labels it and trains on it alone, up
    to max_iterations steps or until the student's mIoU on it is at least `threshold`, then sends
    what changed. When it is met the distance to the next frame doubles, else it halves, within
    min_stride_seconds and max_stride_seconds (8 and 64 frames at 30 fps), and never below the
    video's own frame distance. While the server is busy only the newest frame waits.

    SGD with momentum 0.9 (v = 0.9 v + g; w -= learning_rate v) on the fraction gamma of largest
    |v|, at random in the first phase; the velocities of all parameters go on over phases. Batch
    norm is frozen as for AMS. Labels are those of the clip's label file that are nearest in time.
    """

    name: ClassVar[str] = "just_in_time"
    threshold: float = 0.75
    learning_rate: float = 0.01
    momentum: float = 0.9
    max_iterations: int = 8
    gamma: float = 0.05
    min_stride_seconds: float = 8 / 30
    max_stride_seconds: float = 64 / 30
    profile: str = "reference"

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"JustInTime: threshold is {self.threshold}; it must be in (0, 1]")
        if not self.learning_rate > 0:
            raise ValueError(f"JustInTime: learning_rate is {self.learning_rate}; it must be > 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"JustInTime: momentum is {self.momentum}; it must be in [0, 1)")
        if self.max_iterations < 1:
            raise ValueError(
                f"JustInTime: max_iterations is {self.max_iterations}; it must be >= 1"
            )
        if not 0 < self.gamma <= 1:
            raise ValueError(f"JustInTime: gamma is {self.gamma}; it must be in (0, 1]")
        if self.profile not in ams.update_profile_names():
            raise ValueError(
                f"JustInTime: profile is {self.profile!r}; there are "
                + ", ".join(ams.update_profile_names())
            )
        if not 0 < self.min_stride_seconds <= self.max_stride_seconds:
            raise ValueError(
                "JustInTime: 0 < min_stride_seconds <= max_stride_seconds does not hold"
            )

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        if setting.student.train_batch_norm_statistics:
            raise ValueError("JustInTime: train_batch_norm_statistics is not supported; set False")
        return _Run(self, stream, setting).result()


class _Run:
    def __init__(self, scheme: JustInTime, stream: Stream, setting: Setting) -> None:
        from ams.torch import load_student_values

        self._scheme = scheme
        self._stream = stream
        self._setting = setting
        self._clock = Clock()
        self._accelerator = Accelerator(self._clock)
        self._connection = Connection(self._clock, setting.link, on_lost=self._lost)
        self._student = RunningStudent(stream, setting)
        self._learner = Learner(scheme, setting, stream.ignore_id)
        values = load_student_values(setting.student)
        self._server = ams.ModelState(values.manifest, values.values)
        self._device = self._server.copy()

        self._stride_seconds = scheme.min_stride_seconds  # the server's
        self._device_stride_seconds = scheme.min_stride_seconds
        self._next_sample_seconds = 0.0
        self._frames_sent = 0
        self._waiting: tuple[float, bytes] | None = None
        self._busy = False
        self._has_ended = False
        self._update_bytes: list[int] = []
        self._iterations = 0
        self._frames_trained = 0
        self._versions: list[list[float]] = []
        self._strides: list[list[float]] = []

    def result(self) -> RunResult:
        stream, setting, clock = self._stream, self._setting, self._clock
        self._open_connection()
        for frame in stream.frames():
            clock.run(until_seconds=frame.capture_seconds)
            if frame.labels is not None:
                self._student.score(frame.image, frame.labels, frame.capture_seconds)
            if (
                frame.capture_seconds >= self._next_sample_seconds - 1e-9
                and self._connection.is_open
            ):
                self._next_sample_seconds = frame.capture_seconds + self._device_stride_seconds
                seconds, image = frame.capture_seconds, frame.image
                clock.after(
                    setting.costs.encode_frame_seconds,
                    lambda s=seconds, i=image: self._send_frame(s, i),
                )
        clock.run(until_seconds=stream.duration_seconds)
        # As AMS at its end: what is on its way arrives, and nothing new is sent.
        self._has_ended = True
        clock.run(until_seconds=stream.duration_seconds + 10)
        self._connection.close("end of the stream")
        clock.run()

        miou, whole_video = self._student.scorer.summary()
        return RunResult(
            scheme=self._scheme.name,
            clip=stream.name,
            seed=setting.seed,
            miou=miou,
            miou_whole_video=whole_video,
            seconds=stream.duration_seconds,
            uplink_bytes=self._connection.uplink_bytes,
            downlink_bytes=self._connection.downlink_bytes,
            updates=len(self._update_bytes),
            update_bytes_mean=float(np.mean(self._update_bytes)) if self._update_bytes else 0.0,
            frames=self._student.scorer.frames,
            sampling_rates=self._strides,
            versions=self._versions,
            digests_equal=self._server.version == self._device.version,
            details={
                "link": asdict(setting.link),
                "costs": asdict(setting.costs),
                "threshold": self._scheme.threshold,
                "frames_sent": self._frames_sent,
                "frames_trained": self._frames_trained,
                "iterations": self._iterations,
            },
        )

    # ---- the connection ----

    def _open_connection(self) -> None:
        if not self._has_ended:
            self._connection.connect(
                self._connected, lambda reason: self._clock.after(1.0, self._open_connection)
            )

    def _connected(self) -> None:
        if self._frames_sent:  # a stride may have been lost with the last connection
            self._send_stride()
        if (
            self._server.version != self._device.version
        ):  # updates were lost with the last connection
            snapshot = ams.encode_snapshot(self._server)
            self._connection.send_down(
                payload_socket_bytes(len(snapshot)), lambda: self._take_snapshot(snapshot)
            )

    def _lost(self, reason: str) -> None:
        self._open_connection()

    # ---- the device ----

    def _send_frame(self, seconds: float, image: np.ndarray) -> None:
        if self._has_ended:
            return
        picture = encode_frame(image)
        self._frames_sent += 1
        self._connection.send_up(
            frame_socket_bytes(picture, self._frames_sent, seconds),
            lambda: self._take_frame(seconds, picture),
        )

    def _take_update(self, update: bytes) -> None:
        ams.apply_update(update, self._device)
        self._publish()

    def _take_snapshot(self, snapshot: bytes) -> None:
        self._device = ams.decode_snapshot(snapshot, self._device.manifest)
        self._publish()

    def _publish(self) -> None:
        version, values = self._device.version, np.array(self._device.values)

        def swapped() -> None:
            self._versions.append([self._clock.now_seconds, version.number])
            self._student.publish(values)
            ack = message_socket_bytes(protocol.Ack(held=version), from_device=True)
            self._connection.send_up(ack, lambda: None)

        self._clock.after(self._setting.costs.publish_seconds, swapped)

    def _take_stride(self, seconds: float) -> None:
        # From the newest frame on, not from now.
        self._next_sample_seconds += seconds - self._device_stride_seconds
        self._device_stride_seconds = seconds

    # ---- the server ----

    def _take_frame(self, seconds: float, picture: bytes) -> None:
        if self._has_ended:
            return
        self._waiting = (seconds, picture)
        if not self._busy:
            self._busy = True
            self._accelerator.request("just_in_time", self._train)

    def _train(self) -> tuple[float, Callable[[], None]]:
        (seconds, picture), self._waiting = self._waiting, None
        labels = self._stream.labels_at(seconds)
        phase = self._learner.train(decode_frame(picture), labels, self._server.values)
        self._frames_trained += 1
        self._iterations += phase.iterations
        costs = self._setting.costs
        training = costs.training_seconds(phase.iterations, 1, phase.wall_seconds)

        def done() -> None:
            if self._has_ended:
                return
            if phase.iterations > 0:
                self._send_update(phase)
            self._decide_stride(phase.is_met)
            self._busy = False
            if self._waiting is not None:
                self._take_frame(*self._waiting)

        return costs.teacher_seconds + training, done

    def _send_update(self, phase: Phase) -> None:
        update = ams.encode_update(
            self._server, phase.values, phase.coordinates, profile=self._scheme.profile
        )
        self._update_bytes.append(len(update))
        self._connection.send_down(
            payload_socket_bytes(len(update)), lambda: self._take_update(update)
        )

    def _decide_stride(self, is_met: bool) -> None:
        scheme = self._scheme
        stride = self._stride_seconds * (2 if is_met else 0.5)
        stride = min(max(stride, scheme.min_stride_seconds), scheme.max_stride_seconds)
        if stride == self._stride_seconds:
            return
        self._stride_seconds = stride
        self._strides.append([self._clock.now_seconds, 1 / stride])
        self._send_stride()

    def _send_stride(self) -> None:
        stride = self._stride_seconds
        # The protocol's message for rates, as AMS sends it.
        control = protocol.Control(sampling_rate_fps=1 / stride, update_interval_seconds=10.0)
        self._connection.send_down(
            message_socket_bytes(control, from_device=False), lambda: self._take_stride(stride)
        )


@dataclass(frozen=True)
class Phase:
    """What the training on one frame gives. values: float32 [dimension]; is_met: the threshold."""

    values: np.ndarray
    coordinates: ams.CoordinateSet
    iterations: int
    is_met: bool
    wall_seconds: float


class Learner:
    """Momentum SGD on one frame at a time, on the fraction of the parameters of largest
    velocity."""

    def __init__(self, scheme: JustInTime, setting: Setting, ignore_id: int) -> None:
        import torch

        from ams.torch import ParameterVector, open_network

        spec = setting.student
        self._scheme = scheme
        self._spec = spec
        self._device = torch.device(setting.device)
        self._network = open_network(
            spec.network, num_classes=spec.num_classes, weights=spec.weights, seed=spec.seed
        )
        self._network.to(self._device)
        self._network.eval()
        self._vector = ParameterVector(self._network)
        self._velocity = torch.zeros_like(self._vector.values)
        self._has_trained = False
        self._seed = setting.seed
        classes = list(spec.selected_classes) or list(range(spec.num_classes))
        self._classes = np.array(classes, np.uint8)
        self._selected = torch.tensor(classes, device=self._device)
        self._targets = np.full(256, -100, np.int64)
        self._targets[classes] = np.arange(len(classes))
        self._targets[ignore_id] = -100
        self._mean = torch.tensor(spec.mean, device=self._device).view(1, 3, 1, 1)
        self._deviation = torch.tensor(spec.standard_deviation, device=self._device).view(
            1, 3, 1, 1
        )

    def train(self, image: np.ndarray, labels: np.ndarray, values: np.ndarray) -> Phase:
        """image: uint8 [H, W, 3]; labels: uint8 [h, w]; values: where training starts, what the
        device holds."""
        import torch

        begin = time.perf_counter()
        truth = resize_nearest(labels, self._spec.input_width, self._spec.input_height)
        inputs = self._normalized(image)
        targets = torch.from_numpy(self._targets[truth]).to(self._device)[None]
        self._vector.load(np.ascontiguousarray(values))
        coordinates = self._choose()
        chosen = torch.from_numpy(coordinates.indices.astype(np.int64)).to(self._device)
        iterations = 0
        while True:
            logits = self._logits(inputs)
            accuracy = self._accuracy(logits, truth)
            # A frame without a pixel that counts teaches nothing.
            is_met = accuracy is None or accuracy >= self._scheme.threshold
            if is_met or iterations == self._scheme.max_iterations:
                break
            self._step(logits, targets, chosen)
            iterations += 1
        self._has_trained = self._has_trained or iterations > 0
        return Phase(
            self._vector.values.detach().cpu().numpy().copy(),
            coordinates,
            iterations,
            is_met,
            time.perf_counter() - begin,
        )

    def _normalized(self, image: np.ndarray) -> torch.Tensor:
        import torch

        cv2 = opencv()
        size = (self._spec.input_width, self._spec.input_height)
        shrinks = image.shape[1] > size[0] or image.shape[0] > size[1]
        scaled = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        tensor = torch.from_numpy(scaled).to(self._device).permute(2, 0, 1)[None].float() / 255
        return ((tensor - self._mean) / self._deviation).contiguous(
            memory_format=torch.channels_last
        )

    def _choose(self) -> ams.CoordinateSet:
        dimension = self._vector.manifest.dimension
        count = ams.fraction_count(self._scheme.gamma, dimension)
        if self._has_trained:
            return ams.largest_by_magnitude(self._velocity.cpu().numpy(), count)
        return ams.random_coordinates(dimension, count, seed=self._seed)

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        logits = self._network(inputs).index_select(1, self._selected)
        return functional.interpolate(
            logits,
            size=(self._spec.input_height, self._spec.input_width),
            mode="bilinear",
            align_corners=self._network.align_corners,
        )

    def _accuracy(self, logits: torch.Tensor, truth: np.ndarray) -> float | None:
        confusion = ams.ConfusionMatrix([int(c) for c in self._classes])
        confusion.add(self._classes[logits.detach()[0].argmax(0).cpu().numpy()], truth)
        return confusion.mean_iou()

    def _step(self, logits: torch.Tensor, targets: torch.Tensor, chosen: torch.Tensor) -> None:
        import torch
        from torch.nn import functional

        self._vector.zero_gradients()
        functional.cross_entropy(logits, targets, ignore_index=-100).backward()
        with torch.no_grad():
            self._velocity.mul_(self._scheme.momentum).add_(self._vector.gradients)
            self._vector.values[chosen] -= self._scheme.learning_rate * self._velocity[chosen]
