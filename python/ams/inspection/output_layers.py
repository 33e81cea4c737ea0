"""Which layers a module's outputs come from, as its gradients go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from ams.torch import Network
from ams.torch.wrappers import named_parameters


def output_layers(
    student: torch.nn.Module | Network,
    loss: Callable[[Any], torch.Tensor],
    *,
    passed: Iterable[str],
) -> list[str]:
    """Names of the layers with parameters to train between which and the loss there is no other, in
    registration order. `passed`: layers that do not count. None of a scripted module or of a
    network of the library: their gradients do not tell."""
    if not isinstance(student, torch.nn.Module) or isinstance(student, torch.jit.ScriptModule):
        return []
    layers = {id(p): name.rpartition(".")[0] for name, p in named_parameters(student)}
    found: set[str] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [loss(student.eval()).grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = [each for each, _ in node.next_functions]
        own = {layers[id(p)] for p in map(_parameter, inputs) if p is not None}
        own.difference_update(passed)
        found |= own
        if not own:
            waiting.extend(inputs)
    return [layer for layer in dict.fromkeys(layers.values()) if layer in found]


def _parameter(node: Any) -> torch.Tensor | None:
    """The parameter that an operation takes, also turned or in another shape."""
    while node is not None:
        if hasattr(node, "variable"):
            variable: torch.Tensor = node.variable
            return variable
        if len(node.next_functions) != 1:
            return None
        node = node.next_functions[0][0]
    return None
