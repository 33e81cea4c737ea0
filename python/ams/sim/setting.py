"""What a run has besides its stream and its scheme."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ams.sim.costs import Costs
from ams.sim.link import Link
from ams.sim.stream import Stream
from ams.sim.teacher import Teacher

if TYPE_CHECKING:
    from ams.torch import StudentSpec


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a run has besides its stream and its scheme. A plain value.

    student: network, weights and input size; its selected_classes are replaced by the stream's.
    teacher: labels what the server decodes; None: the clips' own labels stand for it.
    link, costs: what messages and work cost in virtual time.
    seed: the one seed of everything random.
    device: where training computes: "cpu", "cuda", "cuda:1".
    window_seconds: of the mIoU. start_up_seconds: scores before this time are left out (the paper:
        250).
    """

    student: StudentSpec
    teacher: Teacher | None = None
    link: Link = field(default_factory=Link)
    costs: Costs = field(default_factory=Costs)
    seed: int = 1
    device: str = "cpu"
    window_seconds: float = 10
    start_up_seconds: float = 0


def select_classes(setting: Setting, stream: Stream) -> Setting:
    """The setting with the stream's classes selected in its student."""
    from ams.torch import StudentSpec

    old = setting.student
    if stream.classes[-1] >= old.num_classes:
        raise ValueError(
            f"the stream's classes are {stream.classes}, the student has {old.num_classes}"
        )
    spec = StudentSpec(
        network=old.network,
        weights=old.weights,
        num_classes=old.num_classes,
        input_width=old.input_width,
        input_height=old.input_height,
        selected_classes=list(stream.classes),
        mean=old.mean,
        standard_deviation=old.standard_deviation,
        train_batch_norm_statistics=old.train_batch_norm_statistics,
        normalization=old.normalization,
        head=old.head,
        seed=old.seed,
    )
    return replace(setting, student=spec)
