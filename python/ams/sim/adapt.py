"""AMS on any module in one call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

import ams
from ams.sim.accelerator import Accelerator
from ams.sim.clock import Clock
from ams.sim.codec import Codec, PassThrough
from ams.sim.costs import Costs
from ams.sim.device import Device
from ams.sim.link import Link

if TYPE_CHECKING:
    import torch


@dataclass
class Adapted:
    """What adapt() gives.

    module: the device's module at the end, adapted.
    scores: (time in seconds, score of the adapted module, score of the module as it was) of every
        frame; empty without `score`.
    updates, update_bytes: sent, and their payload in all. uplink_bytes, downlink_bytes: on the
        socket; by default (PassThrough) a sampled frame counts as one byte, and a buffer as 8 or
        more.
    sampling_rates: (time in seconds, samples a second) at every change.
    digests_equal: server and device hold the same values, bit for bit.
    """

    module: torch.nn.Module
    scores: list[tuple[float, float, float]] = field(default_factory=list)
    updates: int = 0
    update_bytes: int = 0
    uplink_bytes: int = 0
    downlink_bytes: int = 0
    sampling_rates: list[list[float]] = field(default_factory=list)
    digests_equal: bool = False


def adapt(
    module: torch.nn.Module,
    frames: Iterable[tuple[float, Any]],
    teacher: Callable[[Any], Any],
    *,
    loss: Callable[[Any, Any], torch.Tensor],
    score: Callable[[torch.nn.Module, Any, Any], float] | None = None,
    collate: Callable[[list[tuple[Any, Any]]], tuple[Any, Any]] | None = None,
    phi: Callable[[Any, Any], float] | None = None,
    codec: Codec | None = None,
    link: Link | None = None,
    costs: Costs | None = None,
    device: str | None = None,
    task: ams.Task | None = None,
    make_policy: Callable[[], ams.UpdatePolicy] | None = None,
    first_batch_seconds: float = 0,
    seed: int = 0,
    progress: bool = False,
    **policy_options: Any,
) -> Adapted:
    """Streams adaptations of a module along a video, in virtual time: the session and the client of
    the programs, with a server that trains `module` and a device that runs a copy of it.

    module: any torch.nn.Module; it is not changed.
    frames: (seconds, frame), times ascending from 0 on; a frame is whatever `teacher` and `collate`
        take.
    teacher(frame): its labels; called on the server for sampled frames, and for all frames with
        `score`.
    loss(outputs, targets): a scalar tensor.
    score(module, frame, labels): a number; called for every frame with the device's module and with
        `module`.
    collate(samples): (inputs, targets) of a list of (frame, labels); by default torch's
        default_collate.
    phi(labels, next_labels): change of two consecutive samples' labels, >= 0 (section 3.2); without
        it the sampling rate stays as it is.
    task: in place of `phi`; what its sample() gives, `collate` takes.
    make_policy: gives the session's policy; by default an ams.FixedPolicy of policy_options.
    codec: how samples travel; by default as they are. link: by default ideal. costs: of the virtual
        work. seed: of all that is random.
    progress: shows a bar of the frames.
    policy_options: keyword arguments of ams.FixedPolicy: gamma, strategy, learning_rate,
        iterations, batch_size, update_interval_seconds, ...

    Raises ValueError, ams.Error, and what the callables raise.
    """
    import torch
    from torch.utils.data import default_collate

    from ams.torch import ModuleTrainer, ParameterVector

    # In eval mode: scoring must move no batch-norm statistics, the caller's least of all.
    original, server_module, device_module = (copy.deepcopy(module).eval() for _ in range(3))
    trainer = ModuleTrainer(
        server_module, loss=loss, collate=collate or default_collate, device=device
    )
    running = ParameterVector(device_module)
    if make_policy is None:
        follows_phi = phi is not None or task is not None
        options = {"adapt_sampling_rate": follows_phi, **policy_options}

        def make_policy() -> ams.UpdatePolicy:
            return ams.FixedPolicy(**options)

    elif policy_options:
        raise ValueError(f"adapt: make_policy takes the place of {', '.join(policy_options)}")

    clock = Clock()
    end = Device(
        clock=clock,
        link=link or Link.ideal(),
        accelerator=Accelerator(clock),
        costs=costs or Costs(),
        initial=ams.ModelState(trainer.manifest, running.copy()),
        task=task or _Task(phi),
        make_policy=make_policy,
        label=lambda frame, seconds: teacher(frame),
        trainer=trainer,
        codec=codec or PassThrough(),
        client=ams.ClientOptions(
            device_id="adapt", first_batch_seconds=first_batch_seconds, seed=seed
        ),
        session=ams.SessionOptions(seed=seed),
        publish=running.load,
    )
    end.start()
    scores = []
    seconds = 0.0
    for seconds, frame in tqdm(frames, desc="adapt", unit="frame", disable=not progress):
        clock.run(until_seconds=seconds)
        if score is not None:
            labels = teacher(frame)
            with torch.no_grad():
                both = [float(score(each, frame, labels)) for each in (device_module, original)]
            scores.append((seconds, *both))
        end.on_frame(seconds, frame)
    end.stop("end of the frames")
    clock.run(until_seconds=seconds + 60)

    counters = end.counters
    return Adapted(
        module=device_module,
        scores=scores,
        updates=counters.updates,
        update_bytes=counters.update_bytes,
        uplink_bytes=end.uplink_bytes,
        downlink_bytes=end.downlink_bytes,
        sampling_rates=end.sampling_rates,
        digests_equal=end.digests_equal,
    )


class _Task(ams.Task):
    """Samples are (frame, labels)."""

    def __init__(self, phi: Callable[[Any, Any], float] | None) -> None:
        super().__init__()
        self._phi = phi

    def phi(self, previous: tuple[Any, Any], current: tuple[Any, Any]) -> float | None:
        return None if self._phi is None else self._phi(previous[1], current[1])
