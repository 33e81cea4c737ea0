"""Making a student checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from tqdm import tqdm

from ams import _torch


def pretrain(
    spec: _torch.StudentSpec,
    dataset: Sequence[_torch.LabelledFrame],
    output: str | os.PathLike[str],
    *,
    steps: int = 1000,
    batch_size: int = 8,
    learning_rate: float = 1e-3,
    warmup_steps: int = 50,
    weight_decay: float = 1e-4,
    schedule: str = "cosine",
    horizontal_flip: bool = True,
    color_jitter: float = 0.2,
    ignore_id: int = 255,
    bfloat16: bool = False,
    seed: int = 1,
    stored_as: str = "f16",
    on_step: Callable[[int, float], bool | None] | None = None,
    progress: bool | None = None,
) -> _torch.PretrainResult:
    """Trains the whole student offline, batch norm in training mode, and writes all its tensors.

    It begins from `spec.weights`, or from `spec.seed`. `dataset`: anything with a length and an
    index; its items are read in this thread, and kept scaled while they live. `output`: a
    safetensors file, whole or not at all. `batch_size` is 2 or more; the learning rate rises over
    `warmup_steps` and falls to 0 by `schedule` (constant, cosine, polynomial); `weight_decay` is on
    convolution weights alone; half of the samples are mirrored (`horizontal_flip`), and brightness,
    contrast and saturation change by up to `color_jitter`, in [0, 1). `stored_as`: f16 or f32.

    `on_step(step, loss)` is called after each step; False ends training early with what is there.
    `progress` shows a bar; None: when standard error is a terminal. The GIL is released; Ctrl-C
    ends it between two steps, and no file is written. Raises as load_student_values(), and
    ams.InvalidArgumentError for an option out of range or a loss that is not finite.
    """
    disable = None if progress is None else not progress
    with tqdm(total=steps, desc="pretrain", unit="step", disable=disable) as bar:

        def after_step(step: int, loss: float) -> bool:
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update(1)
            return on_step is None or on_step(step, loss) is not False

        return _torch.pretrain(
            spec,
            dataset,
            os.fspath(output),
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup_steps=warmup_steps,
            weight_decay=weight_decay,
            schedule=schedule,
            horizontal_flip=horizontal_flip,
            color_jitter=color_jitter,
            ignore_id=ignore_id,
            bfloat16=bfloat16,
            seed=seed,
            stored_as=stored_as,
            on_step=after_step,
        )
