"""Teacher labels from the server, carried forward by optical flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np

from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.link import Connection
from ams.sim.result import RunResult
from ams.sim.running_student import RunningStudent
from ams.sim.schemes.pictures import (
    encode_frame,
    encode_labels,
    frame_socket_bytes,
    opencv,
    payload_socket_bytes,
)
from ams.sim.setting import Setting
from ams.sim.stream import Stream

MAX_FLOWS = 96  # as many as a late answer may need: 3 s of video at 30 fps, 400 MB


@dataclass(frozen=True, kw_only=True)
class RemoteTracking:
    """One frame a second goes up as JPEG of quality 95, its teacher labels come down as PNG
    (section 4.1).

    Samples are the first labelled frame at or after each sampling time. The device shows the newest
    labels that have arrived, carried from their own frame to the current one by Farneback flow at
    flow_width x flow_height pixels (5 iterations, Gaussian windows of 64, 3 levels, poly_n 5). Flow
    is computed between consecutive scored frames and chained; flow_every_frame computes it between
    all frames, as a device would, at several times the work.
    Where the flow leads out of the picture the nearest pixel inside counts. Before the first labels
    come the device shows the pre-trained student's output.
    """

    name: ClassVar[str] = "remote_tracking"
    sampling_rate_fps: float = 1
    flow_width: int = 1024
    flow_height: int = 512
    flow_every_frame: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.sampling_rate_fps <= 60:
            raise ValueError(
                f"RemoteTracking: sampling_rate_fps is {self.sampling_rate_fps}; allowed: (0, 60]"
            )
        if self.flow_width < 1 or self.flow_height < 1:
            raise ValueError(
                f"RemoteTracking: the flow's size is {self.flow_width} x {self.flow_height}; "
                "both must be >= 1"
            )

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        clock = Clock()
        accelerator = Accelerator(clock)
        connection = Connection(clock, setting.link, on_lost=lambda reason: lost())
        student = RunningStudent(stream, setting)
        tracker = FlowTracker(
            output_size=(setting.student.input_width, setting.student.input_height),
            flow_size=(self.flow_width, self.flow_height),
        )
        label_bytes: list[int] = []
        has_ended = False

        def lost() -> None:
            if not has_ended:
                open_connection()

        def open_connection() -> None:
            connection.connect(lambda: None, lambda reason: clock.after(1.0, open_connection))

        def send(number: int, seconds: float, image: np.ndarray) -> None:
            connection.send_up(
                frame_socket_bytes(encode_frame(image), number + 1, seconds),
                lambda: accelerator.request("label", lambda: label(number, seconds)),
            )

        def label(number: int, seconds: float) -> tuple[float, Callable[[], None]]:
            labels = stream.labels_at(seconds)
            payload = len(encode_labels(labels))

            def done() -> None:
                if not connection.is_open:
                    return
                label_bytes.append(payload)
                connection.send_down(
                    payload_socket_bytes(payload), lambda: tracker.take_labels(number, labels)
                )

            return setting.costs.teacher_seconds, done

        open_connection()
        next_sample_seconds = 0.0
        tracked_frames = without_labels = 0
        for frame in stream.frames():
            if frame.labels is None and not self.flow_every_frame:
                continue
            number = tracked_frames
            tracked_frames += 1
            clock.run(until_seconds=frame.capture_seconds)
            tracker.add_frame(number, frame.image)
            if frame.labels is None:
                continue
            tracked = tracker.labels()
            if tracked is None:
                tracked = student.predict(frame.image)
                without_labels += 1
            student.scorer.add(tracked, frame.labels, frame.capture_seconds)
            if frame.capture_seconds >= next_sample_seconds - 1e-9 and connection.is_open:
                while next_sample_seconds <= frame.capture_seconds + 1e-9:
                    next_sample_seconds += 1 / self.sampling_rate_fps
                send_at = clock.now_seconds + setting.costs.encode_frame_seconds
                clock.at(send_at, lambda n=number, f=frame: send(n, f.capture_seconds, f.image))
        clock.run(until_seconds=stream.duration_seconds)
        has_ended = True
        connection.close("end of the stream")
        clock.run(until_seconds=stream.duration_seconds + 1)

        miou, whole_video = student.scorer.summary()
        return RunResult(
            scheme=self.name,
            clip=stream.name,
            seed=setting.seed,
            miou=miou,
            miou_whole_video=whole_video,
            seconds=stream.duration_seconds,
            uplink_bytes=connection.uplink_bytes,
            downlink_bytes=connection.downlink_bytes,
            updates=len(label_bytes),
            update_bytes_mean=float(np.mean(label_bytes)) if label_bytes else 0.0,
            frames=student.scorer.frames,
            details={
                "link": asdict(setting.link),
                "costs": asdict(setting.costs),
                "frames_without_labels": without_labels,
            },
        )


class FlowTracker:
    """Carries a label map from its frame to the newest one, by dense flow between consecutive
    frames.

    Each pixel of the newest frame is followed back to the frame of the labels and takes the class
    found there, so that nothing is resampled more than once. Not thread-safe.
    """

    def __init__(self, *, output_size: tuple[int, int], flow_size: tuple[int, int]) -> None:
        """output_size: width and height of the label maps that come out; flow_size: of the pictures
        that flow is computed on; pixels."""
        width, height = output_size
        self._flow_width, self._flow_height = flow_size
        x = (np.arange(width, dtype=np.float32) + 0.5) * self._flow_width / width - 0.5
        y = (np.arange(height, dtype=np.float32) + 0.5) * self._flow_height / height - 0.5
        self._grid = np.meshgrid(x, y)
        self._gray: np.ndarray | None = None
        self._newest = -1
        # Flow from frame n back to n - 1, newest last; as many as a late answer may need.
        self._flows: deque[tuple[int, np.ndarray]] = deque(maxlen=MAX_FLOWS)
        self._labels: tuple[int, np.ndarray] | None = None

    def add_frame(self, number: int, image: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3] RGB; numbers count up by one."""
        cv2 = opencv()
        size = (self._flow_width, self._flow_height)
        shrinks = image.shape[1] > self._flow_width or image.shape[0] > self._flow_height
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        gray = cv2.cvtColor(cv2.resize(image, size, interpolation=how), cv2.COLOR_RGB2GRAY)
        if self._gray is not None:
            flow = cv2.calcOpticalFlowFarneback(
                gray, self._gray, None, pyr_scale=0.5, levels=3, winsize=64, iterations=5, poly_n=5,
                poly_sigma=1.1, flags=cv2.OPTFLOW_FARNEBACK_GAUSSIAN,
            )  # fmt: skip
            self._flows.append((number, flow))
        self._gray = gray
        self._newest = number

    def take_labels(self, number: int, labels: np.ndarray) -> None:
        """The labels of frame `number`, uint8 [h, w], have come. Older ones than those held are
        ignored."""
        if self._labels is None or number > self._labels[0]:
            self._labels = (number, labels)
            while self._flows and self._flows[0][0] <= number:
                self._flows.popleft()

    def labels(self) -> np.ndarray | None:
        """Those of the newest frame; None while there are none, or they are older than the flows
        kept."""
        if self._labels is None:
            return None
        number, labels = self._labels
        wanted = self._newest - number
        if wanted > len(self._flows):
            return None
        cv2 = opencv()
        x, y = self._grid
        for _, flow in reversed(list(self._flows)[len(self._flows) - wanted :]):
            step = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            x = np.clip(x + step[..., 0], 0, self._flow_width - 1)
            y = np.clip(y + step[..., 1], 0, self._flow_height - 1)
        height, width = labels.shape
        columns = np.clip(((x + 0.5) * width / self._flow_width).astype(np.intp), 0, width - 1)
        rows = np.clip(((y + 0.5) * height / self._flow_height).astype(np.intp), 0, height - 1)
        return np.ascontiguousarray(labels[rows, columns])
