"""Which layers of a module are normalisation layers, and which is the head."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch

from .wrappers import named_parameters, without_wrappers

NORMALIZATIONS = (
    torch.nn.modules.batchnorm._NormBase,  # all batch and instance norms
    torch.nn.GroupNorm,
    torch.nn.LayerNorm,
    torch.nn.RMSNorm,
)
_NAMES = ("BatchNorm", "InstanceNorm", "GroupNorm", "LayerNorm", "RMSNorm")
"""In the names of the classes of other normalisation layers."""


def find_tensor_roles(module: torch.nn.Module) -> dict[str, str]:
    """Names in `module.named_parameters()` -> role, of those that are no plain weights.

    'normalization': scale and shift of batch, instance, group, layer and RMS norm, of subclasses,
    and of other layers whose classes are called so (LayerNorm2d, LlamaRMSNorm) and whose parameters
    have one shape. 'head': the last layer in registration order that has parameters of its own to
    train and is no normalisation. Of a scripted module only the names of the layers' classes are
    left.
    """
    roles: dict[torch.Tensor, str] = {}
    head: list[torch.Tensor] = []
    for layer in module.modules():
        own = list(layer.parameters(recurse=False))
        if _is_normalization(layer, own):
            roles.update(dict.fromkeys(own, "normalization"))
        elif any(parameter.requires_grad for parameter in own):
            head = own
    roles.update(dict.fromkeys(head, "head"))
    named = named_parameters(module)
    return {name: roles[parameter] for name, parameter in named if parameter in roles}


def warn_of_other_heads(module: torch.nn.Module) -> None:
    """Warns when find_tensor_roles() has probably found one of several heads.

    Such are layers whose outputs no later layer seems to take, with as many inputs or outputs as
    the head.
    """
    plain_name = without_wrappers(module)
    layers = [
        (f"{plain_name(name + '.')}*", widths)
        for name, layer in module.named_modules()
        if (widths := _widths(layer)) and any(p.requires_grad for p in layer.parameters())
    ]
    if not layers:
        return
    head, (head_inputs, head_outputs) = layers[-1]
    others = []
    for i, (name, (inputs, outputs)) in enumerate(layers[:-1]):
        is_taken = any(
            width == outputs or (outputs >= 16 and width % outputs == 0)
            for _, (width, _) in layers[i + 1 :]
        )
        if not is_taken and (inputs == head_inputs or outputs == head_outputs):
            others.append(name)
    if others:
        warnings.warn(
            f"the last layer alone, {head!r}, is taken for the head, and {', '.join(others)} may "
            f"be heads too: name what is the head with head={[*others, head]}, or head={[head]}",
            stacklevel=3,
        )


def _widths(layer: torch.nn.Module) -> tuple[int, int] | None:
    """Inputs and outputs of a linear or convolution layer."""
    for kind in ("features", "channels"):
        widths = (getattr(layer, f"in_{kind}", None), getattr(layer, f"out_{kind}", None))
        if all(isinstance(width, int) for width in widths) and hasattr(layer, "weight"):
            return widths
    return None


def _is_normalization(layer: torch.nn.Module, own: Sequence[torch.Tensor]) -> bool:
    if isinstance(layer, NORMALIZATIONS):
        return True
    is_script = isinstance(layer, torch.jit.ScriptModule)
    name = layer.original_name if is_script else type(layer).__name__
    return any(part in name for part in _NAMES) and len({p.shape for p in own}) == 1
