"""Which layers of a module are normalisation layers, and which is the head."""

from __future__ import annotations

import torch

NORMALIZATIONS = (
    torch.nn.modules.batchnorm._NormBase,  # all batch and instance norms
    torch.nn.GroupNorm,
    torch.nn.LayerNorm,
    torch.nn.RMSNorm,
)
_SCRIPTED_NAMES = (
    "BatchNorm",
    "SyncBatchNorm",
    "InstanceNorm",
    "GroupNorm",
    "LayerNorm",
    "RMSNorm",
)


def find_tensor_roles(module: torch.nn.Module) -> dict[str, str]:
    """Names in `module.named_parameters()` -> role, of those that are no plain weights.

    'normalization': scale and shift of batch, instance, group, layer and RMS norm, subclasses of
    them included. 'head': the last layer in registration order that has parameters of its own to
    train and is no normalisation. Of a scripted module only the names of the layers' classes are
    left.
    """
    roles: dict[torch.Tensor, str] = {}
    head: list[torch.Tensor] = []
    for layer in module.modules():
        own = list(layer.parameters(recurse=False))
        if _is_normalization(layer):
            roles.update(dict.fromkeys(own, "normalization"))
        elif any(parameter.requires_grad for parameter in own):
            head = own
    roles.update(dict.fromkeys(head, "head"))
    named = module.named_parameters()
    return {name: roles[parameter] for name, parameter in named if parameter in roles}


def _is_normalization(layer: torch.nn.Module) -> bool:
    if isinstance(layer, torch.jit.ScriptModule):
        return layer.original_name.startswith(_SCRIPTED_NAMES)
    return isinstance(layer, NORMALIZATIONS)
