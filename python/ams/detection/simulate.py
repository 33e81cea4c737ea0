"""The paper's schemes on detection, in virtual time."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import ams

from .drive import DriveFrame
from .task import DetectionTask

if TYPE_CHECKING:
    from ams import sim

GOODBYE_SECONDS = 30
"""How long the simulation goes on after the drive, for what is still on its way."""


@dataclass
class DetectionRun:
    """One scheme on one drive. AP in percent, over all frames of the drive, as COCO defines it.

    frames: [seconds, AP50 of the last 10 s, or None] of every frame. versions: [seconds, model
    version] when the device began to run it. digests_equal: whether server and device held the same
    model at the end; None without a server.
    """

    scheme: str
    ap50: float
    ap50_95: float
    ap50_of_classes: list[float | None]
    seconds: float
    uplink_kbps: float = 0.0
    downlink_kbps: float = 0.0
    updates: int = 0
    update_bytes_mean: float = 0.0
    digests_equal: bool | None = None
    frames: list[list[float | None]] = field(default_factory=list)
    versions: list[list[float]] = field(default_factory=list)
    sampling_rates: list[list[float]] = field(default_factory=list)


@torch.no_grad()
def predict(network: torch.nn.Module, image: np.ndarray, task: DetectionTask) -> np.ndarray:
    """The boxes that a network sees in one picture, float32 [n, 6]."""
    return task.predict(network(task.inputs([image])))[0]


def precision_of(
    network: torch.nn.Module, frames: Iterable[DriveFrame], task: DetectionTask
) -> ams.detection.AveragePrecision:
    """A network's precision on frames. It must be in eval mode."""
    precision = ams.detection.AveragePrecision(len(task.classes))
    for frame in frames:
        precision.add(predict(network, frame.image, task), frame.boxes)
    return precision


def run(
    scheme: sim.AMS | sim.OneTime | sim.NoCustomization,
    frames: Sequence[DriveFrame],
    network: torch.nn.Module,
    task: DetectionTask,
    *,
    costs: sim.Costs | None = None,
    link: sim.Link | None = None,
    with_statistics: bool = False,
    seed: int = 1,
    on_prediction: Callable[[DriveFrame, np.ndarray], None] = lambda frame, boxes: None,
) -> DetectionRun:
    """Plays a drive to one device with one session; `network` is not changed. The teacher's labels
    are the drive's boxes. Every frame is scored by what the device shows at that time.
    on_prediction gets each frame and its boxes. Raises ValueError and ams.Error."""
    from ams import sim

    if not frames:
        raise ValueError("the drive has no frames")
    if not isinstance(scheme, (sim.AMS, sim.OneTime, sim.NoCustomization)):
        raise ValueError(
            f"scheme is {scheme!r}; allowed are AMS, OneTime and NoCustomization of ams.sim"
        )
    module = copy.deepcopy(network).eval()
    period = frames[1].seconds - frames[0].seconds if len(frames) > 1 else 1.0
    seconds = frames[-1].seconds + period
    score = Score(task)

    def play(begin: Callable[[DriveFrame], None], end: Callable[[DriveFrame], None]) -> None:
        for frame in frames:
            begin(frame)
            boxes = predict(module, frame.image, task)
            score.add(frame, boxes)
            on_prediction(frame, boxes)
            end(frame)

    if isinstance(scheme, sim.NoCustomization):
        play(lambda frame: None, lambda frame: None)
        return score.result(scheme.name, seconds)

    last_sample_seconds = seconds
    make_policy: Callable[[], ams.UpdatePolicy]
    if isinstance(scheme, sim.OneTime):
        last_sample_seconds = min(scheme.first_seconds, seconds / 3)
        client = {"first_batch_seconds": last_sample_seconds, "scene_change_seconds": 0}
        make_policy = functools.partial(scheme.make_policy, seconds)
    else:
        client, make_policy = scheme.client_options(), scheme.make_policy
    clock, device = _device(
        module, network, frames, task, make_policy, client, scheme.codec, costs, link, seed,
        with_statistics,
    )
    device.start()

    def offer(frame: DriveFrame) -> None:
        if frame.seconds < last_sample_seconds:
            device.on_frame(frame.seconds, frame.image)

    play(lambda frame: clock.run(until_seconds=frame.seconds), offer)
    clock.run(until_seconds=seconds)
    device.stop("end of the drive")
    clock.run(until_seconds=seconds + GOODBYE_SECONDS)
    counters = device.counters
    result = score.result(scheme.name, seconds)
    result.uplink_kbps = device.uplink_bytes * 8 / 1000 / seconds
    result.downlink_kbps = device.downlink_bytes * 8 / 1000 / seconds
    result.updates = counters.updates
    result.update_bytes_mean = counters.update_bytes / counters.updates if counters.updates else 0.0
    result.digests_equal = device.digests_equal
    result.versions = device.versions
    result.sampling_rates = device.sampling_rates
    return result


def _device(
    module: torch.nn.Module,
    network: torch.nn.Module,
    frames: Sequence[DriveFrame],
    task: DetectionTask,
    make_policy: Callable[[], ams.UpdatePolicy],
    client: dict[str, Any],
    codec: sim.Codec,
    costs: sim.Costs | None,
    link: sim.Link | None,
    seed: int,
    with_statistics: bool,
) -> tuple[Any, Any]:
    """A clock, and a device that runs `module` and whose server trains a copy of `network`."""
    from ams import sim
    from ams.sim.accelerator import Accelerator
    from ams.sim.clock import Clock
    from ams.sim.device import Device
    from ams.torch import ModuleTrainer, ParameterVector

    trainer = ModuleTrainer(
        copy.deepcopy(network).eval(),
        loss=task.loss,
        collate=task.collate,
        with_statistics=with_statistics,
    )
    running = ParameterVector(module, with_statistics=with_statistics)
    times = np.array([frame.seconds for frame in frames])
    clock = Clock()
    return clock, Device(
        clock=clock,
        link=link or sim.Link(),
        accelerator=Accelerator(clock),
        costs=costs or sim.Costs(),
        initial=ams.ModelState(trainer.manifest, running.copy()),
        task=task,
        make_policy=make_policy,
        label=lambda image, seconds: frames[int(np.abs(times - seconds).argmin())].boxes,
        trainer=trainer,
        codec=codec,
        client=ams.ClientOptions(device_id="detection", seed=seed, **client),
        session=ams.SessionOptions(seed=seed),
        publish=running.load,
    )


class Score:
    """Of what a device shows."""

    def __init__(self, task: DetectionTask) -> None:
        self._classes = len(task.classes)
        self._whole = ams.detection.AveragePrecision(self._classes)
        self._sliding = ams.detection.SlidingPrecision(self._classes)
        self._frames: list[list[float | None]] = []

    def add(self, frame: DriveFrame, boxes: np.ndarray) -> None:
        self._whole.add(boxes, frame.boxes)
        window = self._sliding.add(boxes, frame.boxes, frame.seconds).ap50
        self._frames.append([frame.seconds, None if window is None else 100 * window])

    def result(self, scheme: str, seconds: float) -> DetectionRun:
        """Raises ValueError where nothing was to be seen."""
        summary = self._whole.summary()
        if summary.ap50 is None or summary.ap50_95 is None:
            raise ValueError("no frame of the drive has a box; is it longer, or min_share smaller?")
        of_classes = [self._whole.of_class(c).ap50 for c in range(self._classes)]
        return DetectionRun(
            scheme=scheme,
            ap50=100 * summary.ap50,
            ap50_95=100 * summary.ap50_95,
            ap50_of_classes=[None if ap is None else 100 * ap for ap in of_classes],
            seconds=seconds,
            frames=self._frames,
        )
