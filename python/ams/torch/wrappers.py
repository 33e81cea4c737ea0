"""The names of a module's tensors without those of wrappers around it, or around parts of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch.optim.swa_utils import AveragedModel

import ams

_WITH_MODULE = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel, AveragedModel)


def named_parameters(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """As `module.named_parameters()`, with the names that the wrapped module has itself, so that
    the manifests of both ends agree whichever end is wrapped.

    Raises ams.InvalidArgumentError for a parameter that has no values yet.
    """
    plain_name = without_wrappers(module)
    for name, parameter in module.named_parameters():
        name = plain_name(name)
        require_values(name, parameter)
        yield name, parameter


def require_values(name: str, tensor: torch.Tensor) -> None:
    """Raises ams.InvalidArgumentError, which says what to do, for a tensor that has none yet."""
    if torch.nn.parameter.is_lazy(tensor):
        raise ams.InvalidArgumentError(
            f"'{name}' has no shape yet: run the module once on an input (lazy layers take their "
            "shape from it)"
        )
    if tensor.is_meta:
        raise ams.InvalidArgumentError(
            f"'{name}' is on the meta device and has no values: make it real with "
            "module.to_empty(device='cpu'), and load its weights"
        )


def named_buffers(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """As `module.named_buffers()`, with the names that the wrapped module has itself."""
    plain_name = without_wrappers(module)
    return ((plain_name(name), buffer) for name, buffer in module.named_buffers())


def without_wrappers(module: torch.nn.Module) -> Callable[[str], str]:
    """What takes the wrappers' part out of a name: those of torch.compile, DataParallel,
    DistributedDataParallel and AveragedModel."""
    inserted = []  # "a.module." stands for "a."
    for path, part in module.named_modules():
        attribute = _wrapped_attribute(part)
        if attribute is not None:
            prefix = f"{path}." if path else ""
            inserted.append((f"{prefix}{attribute}.", len(prefix)))
    inserted.reverse()  # the innermost first: the outer ones' places stay as they are

    def plain_name(name: str) -> str:
        for text, kept in inserted:
            if name.startswith(text):
                name = name[:kept] + name[len(text) :]
        return name

    return plain_name


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside of wrappers around it; wrappers around its parts stay."""
    while (attribute := _wrapped_attribute(module)) is not None:
        module = getattr(module, attribute)
    return module


def _wrapped_attribute(module: torch.nn.Module) -> str | None:
    if "_orig_mod" in module._modules:  # torch.compile's, whose class takes seconds to import
        return "_orig_mod"
    return "module" if isinstance(module, _WITH_MODULE) else None
