"""What of a student would be trained and sent, and what that costs: ams.inspect()."""

from __future__ import annotations

import copy
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import bundle as bundles
from ..errors import InvalidArgumentError
from .report import Cost, Group, Inspection

if TYPE_CHECKING:
    import torch

__all__ = ["Cost", "Group", "Inspection", "inspect"]


def inspect(
    student: torch.nn.Module | bundles.StudentBundle | str | os.PathLike[str],
    *,
    input_size: tuple[int, int] | None = None,
    batch_size: int = 8,
    loss: Callable[[Any], torch.Tensor] | None = None,
    head: Sequence[str] = (),
    normalization: Sequence[str] = (),
    strategies: Sequence[str] | None = None,
    gamma: float = 0.05,
    steps: int = 3,
) -> Inspection:
    """What of a student would be trained and sent, and what that costs, before the first run.

        print(ams.inspect(model, input_size=(128, 256)))

    Trains copies of it for a few steps on random pictures, so it takes about as long as ten steps.

    student: a torch.nn.Module, which stays as it is; or a student bundle, or its path.
    input_size: (height, width) of the pictures it sees; None: a bundle's own, or (128, 256).
    batch_size: pictures of a mini-batch.
    loss: `loss(module)` gives the loss of one mini-batch, for modules that take something else than
        pictures, float32 [N, 3, H, W], or give no outputs with a gradient in eval mode.
    head, normalization: patterns of names (* and ?) of the tensors of these roles, in place of
        those that the types of the layers tell, as ams.torch.ServerStudent takes them.
    strategies: of ams.selection_strategy_names(); None: what libams recommends for the module, the
        paper's fraction, and the whole module. gamma: of strategies that take a fraction; (0, 1].
    steps: that are timed for each strategy.

    Raises ams.InvalidArgumentError for a module that cannot be trained, with the reason, and as
    ams.bundle.read(); ImportError without ams.torch.
    """
    import torch

    import ams.torch  # noqa: F401

    from .measure import Patterns, inspection_of

    with tempfile.TemporaryDirectory() as folder:
        if isinstance(student, (str, os.PathLike)):
            student = bundles.read(student)
        if isinstance(student, bundles.StudentBundle):
            name = student.path.name
            input_size = input_size or (student.input_height, student.input_width)
            make = _opener(student, Path(folder))
        elif isinstance(student, torch.nn.Module):
            name, module = type(student).__name__, student
            if isinstance(student, torch.jit.ScriptModule):
                name = student.original_name

            def make() -> Any:
                return copy.deepcopy(module)
        else:
            raise InvalidArgumentError(
                f"the student is of type {type(student).__name__}; allowed are a torch.nn.Module "
                "and the path of a student bundle"
            )
        return inspection_of(
            make,
            name,
            input_size=input_size or (128, 256),
            batch_size=batch_size,
            loss=loss,
            strategies=strategies,
            gamma=gamma,
            steps=steps,
            patterns=Patterns(list(head), list(normalization)),
        )


def _opener(bundle: bundles.StudentBundle, folder: Path) -> Callable[[], Any]:
    """Opens a bundle's network as a server does."""
    import torch

    from ams.torch import open_network

    name = bundles.SCRIPT if bundle.network == bundles.SCRIPT else bundles.WEIGHTS
    with zipfile.ZipFile(bundle.path) as archive:
        path = Path(archive.extract(name, folder))
    if path.name == bundles.SCRIPT:
        return lambda: torch.jit.load(str(path), map_location="cpu")
    return lambda: open_network(bundle.network, num_classes=bundle.num_classes, weights=str(path))
