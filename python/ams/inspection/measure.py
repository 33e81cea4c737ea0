"""Runs a module as a server would, on random pictures."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

import ams
from ams.torch import GradientGuidedAdam, Network, ParameterVector
from ams.torch.wrappers import named_parameters

from .output_layers import output_layers
from .report import Cost, Group, Inspection

Student: TypeAlias = "torch.nn.Module | Network"
Loss = Callable[[Any], torch.Tensor]


class Patterns(NamedTuple):
    """Of names, in place of what the types of the layers tell."""

    head: list[str]
    normalization: list[str]


_RECOMMENDED = ams.FixedPolicy()
_TYPICAL_STEPS = 2
"""By how many learning rates a parameter moves in a phase, about. Profiles hardly depend on it."""


def inspection_of(
    make: Callable[[], Student],
    name: str,
    *,
    input_size: tuple[int, int],
    batch_size: int,
    loss: Loss | None,
    strategies: Sequence[str] | None,
    gamma: float,
    steps: int,
    patterns: Patterns,
) -> Inspection:
    """make: gives an equal student each time."""
    student = make()
    _check(input_size, batch_size, steps)
    groups, device = _groups(student, patterns)
    tensors = _vector(student, patterns).manifest.tensors
    has_normalization = any(tensor.role == "normalization" for tensor in tensors)
    recommended = "normalization_and_head" if has_normalization else "full"
    if strategies is None:
        strategies = list(dict.fromkeys([recommended, "gradient_guided", "full"]))
    seen = input_size if loss is None else None
    if loss is None:
        shape = (batch_size, 3, *input_size)
        pictures = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
        loss = _loss_on(pictures)
    costs = [
        _cost(make(), strategy, gamma, loss, steps, device, patterns) for strategy in strategies
    ]
    return Inspection(
        name=name,
        input_size=seen,
        batch_size=batch_size,
        device=str(device),
        groups=tuple(groups),
        costs=tuple(costs),
        iterations=_RECOMMENDED.iterations,
        update_interval_seconds=_RECOMMENDED.update_interval_seconds,
        notes=tuple(_notes(make(), groups, patterns, loss)),
    )


def _check(input_size: tuple[int, int], batch_size: int, steps: int) -> None:
    if len(input_size) != 2 or min(input_size) < 1:
        raise ams.InvalidArgumentError(f"input_size is {input_size}; allowed is (height, width)")
    for name, value in {"batch_size": batch_size, "steps": steps}.items():
        if value < 1:
            raise ams.InvalidArgumentError(f"{name} is {value}; allowed are 1 and more")


def _vector(student: Student, patterns: Patterns) -> ParameterVector:
    return ParameterVector(student, head=patterns.head, normalization=patterns.normalization)


# ---- Groups


def _named(student: Student) -> list[tuple[str, torch.Tensor]]:
    if isinstance(student, torch.nn.Module):
        return list(named_parameters(student))
    return list(student.named_parameters())


def _groups(student: Student, patterns: Patterns) -> tuple[list[Group], torch.device]:
    frozen = [(name, p.numel()) for name, p in _named(student) if not p.requires_grad]
    vector = _vector(student, patterns)
    tensors = vector.manifest.tensors
    groups = [
        _group(role, [(t.name, t.size) for t in tensors if t.role == role])
        for role in ("normalization", "head", "weight")
    ]
    groups.append(_group("frozen", frozen))
    return [group for group in groups if group.tensors], vector.values.device


def _group(role: str, tensors: Sequence[tuple[str, int]]) -> Group:
    layers = dict.fromkeys(name.rpartition(".")[0] or name for name, _ in tensors)
    return Group(role, len(tensors), sum(size for _, size in tensors), tuple(layers))


def _notes(
    student: Student, groups: Sequence[Group], patterns: Patterns, loss: Loss
) -> Iterator[str]:
    by_role = {group.role: group for group in groups}
    if "normalization" not in by_role:
        yield (
            "no normalisation layers were found, so all values are trained and sent; name such "
            'tensors with normalization=["*.scale", ...]'
        )
    if patterns.head or "head" not in by_role:
        return
    normalization = by_role["normalization"].layers if "normalization" in by_role else ()
    last = output_layers(student, loss, passed=normalization)
    if last and set(last) != set(by_role["head"].layers):
        names = [f"{layer}.*" for layer in last]
        yield f"the outputs come from {', '.join(last)}: name what is the head with head={names}"
        return
    trained = [(name, p.numel()) for name, p in _named(student) if p.requires_grad]
    total = sum(size for _, size in trained)
    for around in _around(by_role["head"].layers[-1]):
        within = [size for name, size in trained if name.startswith(f"{around}.")]
        if by_role["head"].values < sum(within) < total / 2:
            yield (
                f"the head is the last layer alone; head=['{around}.*'] would be "
                f"{len(within):,} tensors with {sum(within):,} values"
            )


def _around(layer: str) -> Iterator[str]:
    """The parts of the module that a layer is in, the smallest first."""
    while "." in layer:
        layer = layer.rpartition(".")[0]
        yield layer


# ---- Costs


def _cost(
    student: Student,
    strategy: str,
    gamma: float,
    loss: Loss,
    steps: int,
    device: torch.device,
    patterns: Patterns,
) -> Cost:
    multipliers = ams.recommended_multipliers(strategy=strategy, gamma=gamma)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of heads: a note says so
        optimizer = GradientGuidedAdam(
            student,
            strategy=strategy,
            gamma=gamma,
            lr=_RECOMMENDED.learning_rate,
            head=patterns.head,
            normalization=patterns.normalization,
            **multipliers,
        )
    student.eval()
    optimizer.begin_phase()
    seconds = []
    for _ in range(steps + 1):
        start = _now(device)
        optimizer.zero_grad()
        _backward(loss, student)
        optimizer.step()
        seconds.append(_now(device) - start)
    coordinates = optimizer.begin_phase()  # now by what has moved
    vector = optimizer.vector
    return Cost(
        strategy=strategy,
        gamma=gamma if _takes_a_fraction(strategy) else None,
        values=len(coordinates),
        update_bytes=_update_bytes(vector, coordinates, multipliers),
        seconds_per_step=statistics.median(seconds[1:]),  # the first one prepares
    )


def _takes_a_fraction(strategy: str) -> bool:
    return strategy not in ("full", "normalization", "normalization_and_head")


def _update_bytes(
    vector: ParameterVector, coordinates: ams.CoordinateSet, multipliers: Mapping[str, float]
) -> dict[str, int]:
    """Changes are logistic: their tails are between those of normal and Laplace distributions, as
    the changes that training leaves."""
    random = np.random.default_rng(1)
    values = vector.copy()
    trained = values.copy()
    for tensor in vector.manifest.tensors:
        part = slice(tensor.offset, tensor.offset + tensor.size)
        rate = _RECOMMENDED.learning_rate * multipliers[f"{tensor.role}_multiplier"]
        trained[part] += random.logistic(0, rate * _TYPICAL_STEPS, tensor.size).astype(np.float32)
    sizes = {}
    for profile in sorted(ams.update_profile_names()):  # compact, which is the default, first
        state = ams.ModelState(vector.manifest, values)
        update = ams.encode_update(
            state,
            trained,
            coordinates,
            profile=profile,
            relative_step=_RECOMMENDED.relative_step,
        )
        sizes[profile] = len(update)
    return sizes


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _loss_on(pictures: torch.Tensor) -> Loss:
    """The mean square of all outputs: its gradient reaches what any loss reaches."""

    def loss(student: Any) -> torch.Tensor:
        try:
            outputs = student(pictures)
        except Exception as error:
            raise ams.InvalidArgumentError(
                f"the module does not take pictures, float32 {list(pictures.shape)}: {error}; pass "
                "input_size=(height, width), or loss=, a function of the module that gives the "
                "loss of one mini-batch"
            ) from error
        parts = [part.float().square().mean() for part in _floats(outputs) if part.requires_grad]
        if not parts:
            raise ams.InvalidArgumentError(
                f"the module gives {type(outputs).__name__} without a gradient in eval mode; pass "
                "loss=, a function of the module that gives the loss of one mini-batch"
            )
        return torch.stack(parts).sum()

    return loss


_INNER = ("hidden_state", "attentions")
"""What networks of transformers give besides their outputs."""


def _floats(outputs: Any) -> Iterator[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        if outputs.is_floating_point() and outputs.numel():
            yield outputs
    elif isinstance(outputs, Mapping):
        for name, part in outputs.items():
            if not any(word in str(name) for word in _INNER):
                yield from _floats(part)
    elif isinstance(outputs, Iterable) and not isinstance(outputs, str):
        for part in outputs:
            yield from _floats(part)


def _backward(loss: Loss, student: Student) -> None:
    value = loss(student)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        raise ams.InvalidArgumentError(
            "loss must give a scalar with a gradient for the module it is called with"
        )
    value.backward()
