"""Other devices on the same accelerator, as far as it feels them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import ams
from ams import parts
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import PassThrough
from ams.sim.device import Device
from ams.sim.schemes.adapted import SegmentationTask
from ams.sim.schemes.ams import AMS
from ams.sim.setting import Setting
from ams.sim.stream import Stream


class _Labels:
    """A sample of a device that nobody looks at: labels alone."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels


def add_load(
    clock: Clock,
    accelerator: Accelerator,
    *,
    clips: Sequence[Path | str],
    devices: int,
    scheme: AMS,
    setting: Setting,
    until_seconds: float,
) -> None:
    """Adds devices whose sessions and clients are real and whose training is not.

    They take turns on the accelerator for as long as real ones would: the teacher's time for every
    sample and the phases' for every update, at the sampling and update rates that their own labels
    lead to. Their models do not change, which nobody sees. Device i plays clips[i % len(clips)]
    again and again, and begins at a time within T_update that is drawn from the seed, so that
    devices do not march in step.
    """
    manifest = ams.Manifest([("none", [1])])
    random = np.random.default_rng(setting.seed)
    for number in range(devices):
        clip = clips[number % len(clips)]
        length = Stream([clip]).duration_seconds
        stream = Stream([clip] * math.ceil(until_seconds / length), max_seconds=until_seconds)
        device = Device(
            clock=clock,
            link=setting.link,
            accelerator=accelerator,
            costs=setting.costs,
            initial=ams.ModelState(manifest, np.zeros(1, np.float32)),
            task=SegmentationTask(stream.classes, lambda frame, labels: _Labels(labels)),
            # Nothing is trained, so nothing is chosen: whatever the scheme does.
            make_policy=lambda: ams.FixedPolicy(strategy="full", gamma=1.0, **scheme.pace()),
            label=lambda frame, seconds, stream=stream: stream.labels_at(seconds),
            trainer=_NoTrainer(manifest),
            codec=PassThrough(),
            client=ams.ClientOptions(
                device_id=f"load-{number}",
                seed=setting.seed + number + 1,
                **scheme.client_options(),
            ),
            session=ams.SessionOptions(seed=setting.seed + number + 1),
            name=number + 1,
        )
        begin = float(random.uniform(0, scheme.update_interval_seconds))
        clock.at(begin, _player(clock, device, stream, begin))


class _NoTrainer(parts.Trainer):
    def __init__(self, manifest: ams.Manifest) -> None:
        self.manifest = manifest

    def train(self, job: ams.TrainingJob) -> ams.TrainingResult:
        return job.result(losses=[0.0] * len(job.mini_batches))


def _player(
    clock: Clock, device: Device, stream: Stream, begin_seconds: float
) -> Callable[[], None]:
    times = stream.times()

    def schedule_next() -> None:
        seconds = next(times, None)
        if seconds is not None:
            clock.at(begin_seconds + seconds, lambda: play(seconds))

    def play(seconds: float) -> None:
        device.on_frame(seconds, seconds)
        schedule_next()

    def begin() -> None:
        device.start()
        schedule_next()

    return begin
