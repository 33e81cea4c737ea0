"""What schemes share that adapt the student by sessions: AMS and One-Time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

import ams
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import Codec
from ams.sim.device import Device
from ams.sim.resize import resize_nearest
from ams.sim.result import RunResult
from ams.sim.running_student import RunningStudent
from ams.sim.setting import Setting
from ams.sim.stream import Stream

GOODBYE_SECONDS = 30
"""How long the simulation goes on after the stream, for what is still on its way."""


class PhiScores:
    """phi-score of consecutive samples (section 3.2). Labels of unequal sizes are brought to the
    current one's."""

    def __init__(self, classes: tuple[int, ...]) -> None:
        self._loss = ams.HardLabelCrossEntropy(list(classes))

    def __call__(self, previous: Any, current: Any) -> float | None:
        """Of two samples that have `labels`."""
        return self.of_labels(previous.labels, current.labels)

    def of_labels(self, previous: np.ndarray, current: np.ndarray) -> float | None:
        """Of two label maps, uint8 [h, w]."""
        height, width = current.shape
        return self._loss(current, resize_nearest(previous, width, height))


class SegmentationTask(ams.Task):
    """Labelled frames of the given classes."""

    def __init__(
        self,
        classes: tuple[int, ...],
        make_sample: Callable[[Any, np.ndarray], Any],
        on_phi: Callable[[float], None] = lambda phi: None,
    ) -> None:
        """make_sample(frame, labels): something that has `labels`. on_phi: gets every phi-score."""
        super().__init__()
        self._make_sample = make_sample
        self._phi = PhiScores(classes)
        self._on_phi = on_phi

    @property
    def name(self) -> str:
        return "segmentation"

    def sample(self, frame: Any, label: np.ndarray) -> Any:
        return self._make_sample(frame, label)

    def difference(self, previous: np.ndarray, current: np.ndarray) -> float | None:
        return float(np.mean(previous != current))

    def phi(self, previous: Any, current: Any) -> float | None:
        value = self._phi(previous, current)
        if value is not None:
            self._on_phi(value)
        return value


def run_session(
    stream: Stream,
    setting: Setting,
    *,
    name: str,
    make_policy: Callable[[], ams.UpdatePolicy],
    client_options: dict[str, object],
    codec: Codec,
    class_balance: float = 0,
    last_sample_seconds: float = math.inf,
    prepare: Callable[[Clock, Accelerator], None] | None = None,
) -> RunResult:
    """Plays the stream to one device with one session.

    client_options: keyword arguments of ams.ClientOptions.
    class_balance: as ams.torch.SegmentationTrainer.
    last_sample_seconds: frames from then on are not offered to the client.
    prepare: may give the accelerator other work.
    """
    from ams.torch import LabelledFrame, SegmentationTrainer, load_student_values

    values = load_student_values(setting.student)
    teacher = setting.teacher.open() if setting.teacher else None
    student = RunningStudent(stream, setting)
    clock = Clock()
    accelerator = Accelerator(clock)
    phi_scores: list[list[float]] = []
    device = Device(
        clock=clock,
        link=setting.link,
        accelerator=accelerator,
        costs=setting.costs,
        initial=ams.ModelState(values.manifest, values.values),
        task=SegmentationTask(
            stream.classes,
            LabelledFrame,
            lambda phi: phi_scores.append([clock.now_seconds, phi]),
        ),
        make_policy=make_policy,
        label=lambda frame, seconds: teacher(frame) if teacher else stream.labels_at(seconds),
        trainer=SegmentationTrainer(
            setting.student,
            device=setting.device,
            ignore_id=stream.ignore_id,
            class_balance=class_balance,
        ),
        codec=codec,
        client=ams.ClientOptions(
            device_id=stream.name[:128],
            seed=setting.seed,
            student_fingerprint=values.fingerprint,
            **client_options,
        ),
        session=ams.SessionOptions(seed=setting.seed),
        publish=student.publish,
        predict=student.predict,
    )
    if prepare is not None:
        prepare(clock, accelerator)
    device.start()
    play(clock, stream, device, student, last_sample_seconds)
    device.stop("end of the stream")
    clock.run(until_seconds=stream.duration_seconds + GOODBYE_SECONDS)

    counters = device.counters
    miou, whole_video = student.scorer.summary()
    return RunResult(
        scheme=name,
        clip=stream.name,
        seed=setting.seed,
        miou=miou,
        miou_whole_video=whole_video,
        seconds=stream.duration_seconds,
        uplink_bytes=device.uplink_bytes,
        downlink_bytes=device.downlink_bytes,
        updates=counters.updates,
        update_bytes_mean=counters.update_bytes / counters.updates if counters.updates else 0.0,
        frames=student.scorer.frames,
        sampling_rates=device.sampling_rates,
        update_intervals=device.update_intervals,
        versions=device.versions,
        phi_scores=phi_scores,
        digests_equal=device.digests_equal,
        details={
            "link": asdict(setting.link),
            "costs": asdict(setting.costs),
            **_busiest_minute(device, stream),
            "samples": counters.samples,
            "phases_failed": counters.phases_failed,
            "phases_withheld": counters.phases_withheld,
            "snapshots": counters.snapshots,
            "connections": counters.connections,
            "phase_wall_seconds": counters.phase_seconds,
            "scenes": stream.scenes,
            "iterations": counters.iterations,
            "restarts": counters.restarts,
            "restarts_initial": counters.restarts_initial,
        },
    )


def _busiest_minute(device: Device, stream: Stream) -> dict[str, float]:
    """Nothing of a stream that is shorter than one."""
    if stream.duration_seconds < 60:
        return {}
    return {"busiest_minute_kbps": device.busiest_downlink_bytes(60) * 8 / 1000 / 60}


def play(
    clock: Clock,
    stream: Stream,
    device: Device,
    student: RunningStudent,
    last_sample_seconds: float,
) -> None:
    """Every frame at its time: segmented and scored where it has labels, then offered to the
    client."""
    for frame in stream.frames():
        clock.run(until_seconds=frame.capture_seconds)
        if frame.labels is not None:
            student.count(device.predict(frame.image), frame.labels, frame.capture_seconds)
        if frame.capture_seconds < last_sample_seconds:
            device.on_frame(frame.capture_seconds, frame.image)
    clock.run(until_seconds=stream.duration_seconds)
