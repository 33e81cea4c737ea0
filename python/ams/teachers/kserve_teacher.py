"""Inference servers as teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import InvalidArgumentError
from .arrays import ArrayInput, ArrayTeacher, Decode
from .class_map import ClassMap
from .kserve_client import KServeClient
from .torch_networks import IMAGENET_DEVIATION, IMAGENET_MEAN


class KServeTeacher(ArrayTeacher):
    """Labels frames with a model on an inference server that speaks version 2 of the KServe
    protocol over HTTP: Triton, OpenVINO Model Server, MLServer, TorchServe and KServe do.

        KServeTeacher("http://gpu-1:8000", "segformer",
                      classes=class_map("cityscapes", ["road", "person", "car"]))

    url: http://host:port or https://host:port, with a path before /v2 where there is one.
    model, version: as the server knows it; "" is the version that the server chooses. The model
        takes pictures, [N, 3, H, W] or [N, H, W, 3], as OnnxTeacher's.
    output_names: which outputs the server shall send; none: all of them. Let it send class ids
        rather than logits where you can.
    timeout_seconds: for one answer, connecting and sending included.
    headers: sent with each request, such as {"Authorization": "Bearer ..."}.
    binary: arrays travel as bytes (the binary tensor extension), not as JSON; None: where the
        server has the extension.
    classes, input_size, mean, standard_deviation, decode, min_score, batch_size: as OnnxTeacher.

    Segmentation gives uint8 [N, H, W], detection a list of sets of boxes. Keeps a connection
    open. Not thread-safe. The frames leave this machine: the server sees what the devices see.
    Raises ams.UnavailableError when the server does not answer in time, ams.UnauthorizedError when
    it wants a token, ams.MalformedDataError for an answer that is not of the protocol, and
    ams.InvalidArgumentError for what it refuses.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: str = "",
        output_names: Sequence[str] = (),
        timeout_seconds: float = 30,
        headers: Mapping[str, str] | None = None,
        binary: bool | None = None,
        classes: ClassMap | None = None,
        input_size: tuple[int, int] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        standard_deviation: Sequence[float] = IMAGENET_DEVIATION,
        decode: Decode | None = None,
        min_score: float = 0.5,
        batch_size: int = 8,
    ) -> None:
        self._client = KServeClient(
            url,
            model,
            version=version,
            timeout_seconds=timeout_seconds,
            headers=headers or {},
            binary=binary,
        )
        self._output_names = tuple(output_names)
        inputs = self._client.inputs()
        if len(inputs) != 1:
            names = ", ".join(f"'{tensor.name}'" for tensor in inputs)
            raise InvalidArgumentError(
                f"{self._client.name} has {len(inputs)} inputs ({names}); allowed is one, of "
                "pictures"
            )
        super().__init__(
            ArrayInput(inputs[0].name, inputs[0].shape, inputs[0].dtype),
            who=self._client.name,
            classes=classes,
            input_size=input_size,
            mean=mean,
            standard_deviation=standard_deviation,
            decode=decode,
            min_score=min_score,
            batch_size=batch_size,
        )

    def close(self) -> None:
        """Closes the connection; the next frames open another one."""
        self._client.close()

    def _run(self, pictures: np.ndarray) -> Mapping[str, np.ndarray]:
        return self._client.infer(self._input.name, pictures, self._output_names)
