"""What a server and a device must know of a task, besides an ams.Task: how a module does it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import Task, resize_frame
from ..errors import InvalidArgumentError, MalformedDataError

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)


class ModuleTask(Task):
    """A task of one's own for ams.serve, ams.Server and ams.Device: derive from it.

        class Brightness(ams.ModuleTask):
            input_size = (64, 128)                       # (height, width) that the module sees

            def loss(self, outputs, labels):             # labels: a list, as the teacher gave them
                return ((outputs.mean((1, 2, 3)) - torch.tensor(labels)) ** 2).mean()

            def predict(self, outputs):                  # one prediction for each frame
                return [float(mean) for mean in outputs.mean((1, 2, 3))]

    loss() and predict() must be given. All that ams.Task has may be given too: phi() (the sampling
    rate follows it), difference() (a device sees cuts), pack_label() and unpack_label() (samples
    outlive the server), draw() (the operator's page), score(). Frames are uint8 [H, W, 3], RGB;
    a sample is (frame, label), the frame at `input_size`.

    Methods are called from several threads at once: an object must not change. What one raises
    costs a batch, a phase or a picture, and its traceback is in the log. A class with __init__
    calls super().__init__().
    """

    name = "task"  #: for logs and reports
    input_size: tuple[int, int] | None = (128, 256)  #: (height, width); None: as frames come
    mean: tuple[float, float, float] = IMAGENET_MEAN  #: of RGB in 0 to 1
    standard_deviation: tuple[float, float, float] = IMAGENET_STANDARD_DEVIATION
    label_text = "what the task's check_label() takes"  #: of errors: what a teacher gives

    # ---- labels: on the server's labelling thread

    def check_label(self, label: Any, frame: np.ndarray) -> Any:
        """The label to keep of what a teacher gave for one frame, uint8 [H, W, 3]; by default the
        same. Raises ams.InvalidArgumentError, which names what is wanted, for anything else."""
        return label

    def sample(self, frame: np.ndarray, label: Any) -> tuple[np.ndarray, Any]:
        """(frame at input_size, label). Labels in pixels must be scaled here."""
        return _resized(frame, self.input_size), label

    def pack_label(self, label: Any) -> bytes:
        """A label as bytes for `data_dir`: arrays; by default none of others are kept."""
        if not isinstance(label, np.ndarray) or label.dtype.hasobject:
            return b""
        file = io.BytesIO()
        np.save(file, label, allow_pickle=False)
        return file.getvalue()

    def unpack_label(self, data: Any) -> Any:
        """What pack_label() wrote. Bytes of a disk may be damaged. Raises ams.Error."""
        try:
            file = io.BytesIO(data)
            np.lib.format.read_magic(file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            values = np.frombuffer(data, dtype, offset=file.tell())
            return values.reshape(shape, order="F" if fortran else "C").copy()
        except (ValueError, TypeError) as error:
            raise MalformedDataError(f"these bytes are no label ({error})") from error

    def size_bytes(self, sample: tuple[np.ndarray, Any]) -> int:
        """What a sample counts against the limits of buffers."""
        return sum(int(getattr(part, "nbytes", 0)) for part in sample)

    # ---- training: on the server's training thread

    def collate(self, samples: Sequence[Any]) -> tuple[Any, Any]:
        """(inputs, labels) of a mini-batch. Tensors in them, also in lists, tuples and
        dictionaries, are moved to where the module is."""
        return self.inputs([frame for frame, _ in samples]), [label for _, label in samples]

    def forward(self, module: Any, inputs: Any) -> Any:
        """What the module gives for inputs(), on both ends, and for collate()'s; by default
        module(inputs)."""
        return module(inputs)

    def loss(self, outputs: Any, labels: Any) -> torch.Tensor | None:
        """The scalar to minimise; None for a mini-batch that says nothing. `outputs`: what the
        module gives for collate()'s inputs, in eval mode; `labels`: what collate() gave."""
        raise NotImplementedError(f"{type(self).__name__} has no loss(outputs, labels)")

    def accuracy(self, outputs: Any, labels: Any) -> float | None:
        """How good outputs are, in [0, 1], or None: a phase may start from the best of some
        states. By default exp(-loss)."""
        value = self.loss(outputs, labels)
        return None if value is None else float((-value.detach()).clamp(max=0).exp())

    # ---- both ends

    def inputs(self, frames: Sequence[np.ndarray]) -> Any:
        """What the module takes of N frames: by default float32 [N, 3, height, width], scaled to
        `input_size` and normalised."""
        return normalized(frames, self.input_size, self.mean, self.standard_deviation)

    def predict(self, outputs: Any) -> Sequence[Any]:
        """What the module says, one prediction for each frame: any objects, none of the module's
        memory. ams.Device.predict() gives it, difference() and draw() take it."""
        raise NotImplementedError(f"{type(self).__name__} has no predict(outputs)")


def normalized(
    frames: Sequence[np.ndarray],
    input_size: tuple[int, int] | None,
    mean: Sequence[float],
    standard_deviation: Sequence[float],
) -> torch.Tensor:
    """uint8 [h, w, 3] each to float32 [N, 3, height, width]. Raises ams.InvalidArgumentError."""
    import torch

    resized = [_resized(frame, input_size) for frame in frames]
    if len({frame.shape for frame in resized}) != 1:
        raise InvalidArgumentError(
            "the frames of a mini-batch differ in size: give the task an input_size (height, width)"
        )
    pixels = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
    shape = (1, 3, 1, 1)
    return (pixels.to(torch.float32) / 255 - torch.tensor(mean).view(shape)) / torch.tensor(
        standard_deviation
    ).view(shape)


def _resized(frame: np.ndarray, input_size: tuple[int, int] | None) -> np.ndarray:
    if input_size is None or frame.shape[:2] == tuple(input_size):
        return frame
    height, width = input_size
    return resize_frame(np.ascontiguousarray(frame), width=width, height=height)
