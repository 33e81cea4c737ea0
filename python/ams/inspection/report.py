"""What inspect() finds, as values and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """Tensors of one role.

    role: "normalization", "head" or "weight"; "frozen" for those that are neither trained nor sent.
    tensors, values: how many. layers: names of the layers that have them, in order.
    """

    role: str
    tensors: int
    values: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What one strategy costs.

    strategy: of ams.selection_strategy_names(). gamma: the fraction that it takes; None where it
    takes groups or everything. values: trained in a phase and sent. update_bytes: of an encoded
    update by profile, with random changes of about the distribution that training leaves.
    seconds_per_step: of training on a mini-batch on this machine, the median.
    """

    strategy: str
    gamma: float | None
    values: int
    update_bytes: dict[str, int]
    seconds_per_step: float


@dataclass(frozen=True, repr=False)
class Inspection:
    """What of a module would be trained and sent, and what that costs. str() gives a table.

    name: of the module's class. input_size: (height, width) of the pictures that it was run with;
    None: by a loss of the caller's. batch_size: pictures of a mini-batch. device: where it ran.
    groups: by role. costs: by strategy, the one that libams recommends for the module first.
    iterations, update_interval_seconds: steps of a phase, and time between updates, of
    ams.FixedPolicy(). notes: what deserves a look.
    """

    name: str
    input_size: tuple[int, int] | None
    batch_size: int
    device: str
    groups: tuple[Group, ...]
    costs: tuple[Cost, ...]
    iterations: int
    update_interval_seconds: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """All of it as dictionaries, lists and plain values, for json.dumps()."""
        return asdict(self)

    def __str__(self) -> str:
        trained = sum(group.values for group in self.groups if group.role != "frozen")
        size = f", input {self.input_size[1]} x {self.input_size[0]}" if self.input_size else ""
        groups = [
            (
                group.role,
                f"{group.tensors:,}",
                f"{group.values:,}",
                "" if group.role == "frozen" else f"{100 * group.values / trained:.1f}%",
                _shortened(group.layers),
            )
            for group in self.groups
        ]
        profiles = list(self.costs[0].update_bytes)
        costs = [
            (
                cost.strategy if cost.gamma is None else f"{cost.strategy} {100 * cost.gamma:g}%",
                f"{cost.values:,}",
                *(f"{cost.update_bytes[profile]:,}" for profile in profiles),
                _figure(cost.update_bytes[profiles[0]] * 8e-3 / self.update_interval_seconds),
                _figure(cost.seconds_per_step),
            )
            for cost in self.costs
        ]
        heads = (
            "strategy",
            "values",
            *(f"bytes, {profile}" for profile in profiles),
            "Kbps",
            "seconds a step",
        )
        lines = [
            f"{self.name}: {trained:,} values to train{size}",
            "",
            *_table(("role", "tensors", "values", "share", "layers"), groups, left=(0, 4)),
            "",
            *_table(heads, costs, left=(0,)),
            "",
            f"The first strategy is the recommended one. bytes: of an update. Kbps: with "
            f"{profiles[0]}, at an update every {self.update_interval_seconds:g} s.",
            f"seconds a step: of {self.batch_size} pictures on this machine ({self.device}); a "
            f"phase has up to {self.iterations} steps.",
            *(f"Note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    __repr__ = __str__  # what a notebook shows


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _shortened(layers: Sequence[str]) -> str:
    if len(layers) <= 3:
        return ", ".join(layers)
    return f"{layers[0]}, ... {layers[-1]} ({len(layers)})"


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int]
) -> list[str]:
    """Lines of columns, numbers on the right."""
    lines = [heads, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return [
        "  ".join(
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
