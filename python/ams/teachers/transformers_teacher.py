"""Networks of Hugging Face transformers as teachers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detection import boxes_from_pixels
from ..errors import InvalidArgumentError
from .batches import BatchTeacher
from .class_map import ClassMap
from .torch_networks import class_ids, device_of, normalised, pictures, prepared, require

if TYPE_CHECKING:
    import torch


class TransformersTeacher(BatchTeacher):
    """Labels frames with a network of transformers: semantic segmentation (SegFormer and its like),
    mask classification (Mask2Former, MaskFormer) or detection (DETR and its like).

        TransformersTeacher("nvidia/segformer-b0-finetuned-cityscapes-1024-1024",
                            classes=["road", "person", "car"])
        TransformersTeacher(my_segformer, classes=class_map("ade20k", ["road", "person", "car"]))

    model: a torch.nn.Module of transformers on its device; or the folder or the Hub's name of a
        pretrained one, which is loaded with its processor.
    processor: its image processor, which makes inputs of pictures; None: frames are resized to
        input_size and normalised as ImageNet's.
    classes: what the labels' ids shall be: a ClassMap; names, which are looked for in the model's
        id2label; None: as the network gives them.
    input_size: (height, width) that the network sees without a processor; None: the frames' own.
    min_score: boxes with less are no labels; 0 to 1. batch_size: frames at once.

    Segmentation gives uint8 [N, H, W], detection a list of sets of boxes. Not thread-safe.
    Raises ams.UnavailableError without torch or transformers, and ams.InvalidArgumentError.
    """

    def __init__(
        self,
        model: torch.nn.Module | str | os.PathLike[str],
        processor: Callable[..., Any] | None = None,
        *,
        classes: ClassMap | Sequence[str] | None = None,
        input_size: tuple[int, int] | None = None,
        min_score: float = 0.5,
        batch_size: int = 8,
    ) -> None:
        if isinstance(model, (str, os.PathLike)):
            model, processor = _load(os.fspath(model), processor, input_size)
        self._model = prepared(model, "TransformersTeacher")
        if not hasattr(model, "config"):
            raise InvalidArgumentError(
                f"{type(model).__name__} has no config: it is no network of transformers"
            )
        self._processor = processor
        self._input_size = input_size
        names = {int(k): str(v) for k, v in (self._model.config.id2label or {}).items()}
        source = [names.get(i, "N/A") for i in range(max(names) + 1)] if names else None
        super().__init__(classes=classes, source=source, batch_size=batch_size, min_score=min_score)

    def _label(self, frames: np.ndarray) -> list[Any]:
        import torch

        size = frames.shape[1:3]
        with torch.inference_mode():
            outputs = self._model(**self._inputs(frames))
            logits = getattr(outputs, "logits", None)
            if getattr(outputs, "masks_queries_logits", None) is not None:
                return class_ids(_semantic(outputs), size)
            if logits is not None and getattr(outputs, "pred_boxes", None) is not None:
                return _boxes(logits, outputs.pred_boxes, self._model.config.num_labels)
            if logits is not None and logits.dim() == 4:
                return class_ids(logits, size)
        raise InvalidArgumentError(
            f"{type(self._model).__name__} gives {', '.join(outputs.keys())}; allowed are networks "
            "for semantic segmentation, mask classification and object detection (such as "
            "AutoModelForSemanticSegmentation loads)"
        )

    def _inputs(self, frames: np.ndarray) -> dict[str, Any]:
        device = device_of(self._model)
        if self._processor is None:
            return {"pixel_values": normalised(pictures(frames, device), self._input_size)}
        inputs = self._processor(images=list(frames), return_tensors="pt")
        return {name: value.to(device) for name, value in inputs.items()}


def _load(
    name: str, processor: Callable[..., Any] | None, input_size: tuple[int, int] | None
) -> tuple[Any, Any]:
    transformers = require("transformers", f"the teacher '{name}'")
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        model = getattr(transformers, (config.architectures or ["none"])[0], None)
        if model is None:
            raise InvalidArgumentError(
                f"transformers does not know what network '{name}' is: its config names "
                f"{config.architectures!r}"
            )
        if processor is None and input_size is None:
            processor = transformers.AutoImageProcessor.from_pretrained(name)
        return model.from_pretrained(name), processor
    except (OSError, ValueError, ImportError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise InvalidArgumentError(f"transformers cannot load '{name}': {error}") from error


def _semantic(outputs: Any) -> torch.Tensor:
    """Scores [N, classes, h, w] from scored masks; the last class of each is that there is none."""
    import torch

    shares = outputs.class_queries_logits.softmax(-1)[..., :-1]
    masks = outputs.masks_queries_logits.sigmoid()
    return torch.einsum("nqc,nqhw->nchw", shares, masks)


def _boxes(logits: torch.Tensor, centred: torch.Tensor, num_labels: int) -> list[np.ndarray]:
    """From logits [N, queries, classes] and centre, width and height in shares of the picture.

    DETR has one class more, that there is nothing; its successors have a sigmoid for each class.
    """
    import torch

    shares = logits.softmax(-1)[..., :-1] if logits.shape[-1] > num_labels else logits.sigmoid()
    scores, ids = shares.max(-1)
    centre, half = centred[..., :2], centred[..., 2:] / 2
    edges = torch.cat([centre - half, centre + half], -1)
    return [
        boxes_from_pixels(*(part.float().cpu().numpy() for part in of_one), width=1, height=1)
        for of_one in zip(edges, ids, scores, strict=True)
    ]
