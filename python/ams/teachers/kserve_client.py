"""Tensors to and from an inference server: version 2 of the KServe protocol over HTTP."""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import (
    Error,
    InvalidArgumentError,
    LimitExceededError,
    MalformedDataError,
    UnauthorizedError,
    UnavailableError,
)

_TYPES = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_MAX_METADATA_BYTES = 1 << 20
_MAX_ANSWER_BYTES = 1 << 29
_MAX_ERROR_TEXT = 300
_HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class TensorMetadata:
    """A tensor as a model's metadata describe it. None: an extent that is open."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class KServeClient:
    """One model of one server. Not thread-safe: it keeps one connection.

    All that comes from the server is checked. Raises ams.UnavailableError when it does not answer
    in time or says that it cannot, ams.UnauthorizedError, ams.InvalidArgumentError for what it
    refuses, ams.MalformedDataError for an answer that is not of the protocol, and
    ams.LimitExceededError for one of more than 512 MiB.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: str,
        timeout_seconds: float,
        headers: Mapping[str, str],
        binary: bool | None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise InvalidArgumentError(
                f"the inference server's address is '{url}'; allowed is http://host:port or "
                "https://host:port, such as http://127.0.0.1:8000"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise InvalidArgumentError(
                "the inference server's address has a password or a query; pass what it needs "
                "with headers={...}"
            )
        if not 0 < timeout_seconds < math.inf:
            raise InvalidArgumentError(
                f"timeout_seconds is {timeout_seconds}; allowed are more than 0"
            )
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout_seconds, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(
                parts.hostname, port, timeout=timeout_seconds
            )
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._root = parts.path.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._headers = dict(headers)
        self._model = f"/v2/models/{urllib.parse.quote(model, safe='')}"
        if version:
            self._model += f"/versions/{urllib.parse.quote(version, safe='')}"
        self.name = f"the model '{model}' of {self._address}"
        self._binary = self._has_binary_extension() if binary is None else binary

    def inputs(self) -> list[TensorMetadata]:
        """What the model's metadata say that it takes."""
        content = self._json("GET", self._model)
        found = []
        for tensor in _list(content, "inputs"):
            shape = _field(tensor, "shape", list)
            if not all(type(extent) is int for extent in shape):
                raise MalformedDataError(f"{self.name} has an input of shape {shape!r:.100}")
            found.append(
                TensorMetadata(
                    _field(tensor, "name", str),
                    tuple(extent if extent > 0 else None for extent in shape),
                    _dtype(tensor),
                )
            )
        return found

    def infer(
        self, name: str, array: np.ndarray, outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Outputs by name, all of them or those that are named."""
        tensor: dict[str, Any] = {
            "name": name,
            "shape": list(array.shape),
            "datatype": _NAMES[array.dtype],
        }
        request: dict[str, Any] = {"inputs": [tensor]}
        if outputs:
            request["outputs"] = [{"name": each} for each in outputs]
        if not self._binary:
            if array.dtype == np.float16:
                raise InvalidArgumentError(
                    f"{self.name} takes FP16, which needs a server with the binary tensor "
                    "extension (binary=True)"
                )
            tensor["data"] = array.ravel().tolist()
            return self._outputs(*self._request("POST", f"{self._model}/infer", _encode(request)))
        contents = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        tensor["parameters"] = {"binary_data_size": len(contents)}
        request["parameters"] = {"binary_data_output": True}
        for each in request.get("outputs", ()):
            each["parameters"] = {"binary_data": True}
        head = _encode(request)
        answer = self._request(
            "POST",
            f"{self._model}/infer",
            head + contents,
            {"Content-Type": "application/octet-stream", _HEADER_LENGTH: str(len(head))},
        )
        return self._outputs(*answer)

    def close(self) -> None:
        """Closes the connection; the next request opens one."""
        self._connection.close()

    # ---- Answers

    def _has_binary_extension(self) -> bool:
        extensions = self._json("GET", "/v2").get("extensions")
        return isinstance(extensions, list) and "binary_tensor_data" in extensions

    def _json(self, method: str, path: str) -> dict[str, Any]:
        _, text = self._request(method, path, limit=_MAX_METADATA_BYTES)
        return self._decoded(text)

    def _decoded(self, text: bytes) -> dict[str, Any]:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise MalformedDataError(f"{self.name} answered no JSON: {error}") from None
        if not isinstance(content, dict):
            raise MalformedDataError(f"{self.name} answered {str(content)!r:.100}, no object")
        return content

    def _outputs(self, headers: http.client.HTTPMessage, body: bytes) -> dict[str, np.ndarray]:
        length = headers.get(_HEADER_LENGTH)
        if length is None:
            head, rest = body, b""
        elif length.isdecimal() and int(length) <= len(body):
            head, rest = body[: int(length)], body[int(length) :]
        else:
            raise MalformedDataError(
                f"{self.name} answered {len(body)} bytes with {_HEADER_LENGTH} {length!r:.50}"
            )
        outputs: dict[str, np.ndarray] = {}
        for tensor in _list(self._decoded(head), "outputs"):
            name = _field(tensor, "name", str)
            array, used = self._array(tensor, rest)
            if name in outputs:
                raise MalformedDataError(f"{self.name} answered output '{name}' twice")
            outputs[name] = array
            rest = rest[used:]
        if rest:
            raise MalformedDataError(f"{self.name} answered {len(rest)} bytes of no output")
        return outputs

    def _array(self, tensor: dict[str, Any], rest: bytes) -> tuple[np.ndarray, int]:
        """One output, and how many bytes of the binary part it takes."""
        name, dtype = _field(tensor, "name", str), _dtype(tensor)
        shape = _field(tensor, "shape", list)
        if len(shape) > 8 or not all(type(extent) is int and extent >= 0 for extent in shape):
            raise MalformedDataError(f"{self.name} answered '{name}' of shape {shape!r:.100}")
        count = math.prod(shape)
        parameters = tensor.get("parameters")
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is not None:
            if type(size) is not int or size != count * dtype.itemsize or size > len(rest):
                raise MalformedDataError(
                    f"{self.name} answered '{name}', {dtype} {shape}, with binary_data_size "
                    f"{size!r:.50} and {len(rest)} bytes"
                )
            return np.frombuffer(rest, dtype, count).reshape(shape), size
        data = _field(tensor, "data", list)
        try:
            array = np.array(data, dtype)  # flat, or nested as the shape
        except (ValueError, TypeError, OverflowError) as error:
            raise MalformedDataError(
                f"{self.name} answered '{name}' with data that is no {dtype}: {error}"
            ) from None
        if array.size != count:
            raise MalformedDataError(
                f"{self.name} answered '{name}' of shape {shape} with {array.size} values"
            )
        return array.reshape(shape), 0

    # ---- HTTP

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = _MAX_ANSWER_BYTES,
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """Headers and body of an answer that is fine."""
        is_kept = self._connection.sock is not None
        expired = threading.Event()
        timer = threading.Timer(self._timeout_seconds, self._abort, [expired])
        timer.daemon = True
        timer.start()
        sent = {"Content-Type": "application/json", **(headers or {}), **self._headers}
        try:
            try:
                status, fields, answer = self._exchange(method, path, body, sent, limit)
            except (http.client.RemoteDisconnected, ConnectionError):
                if not is_kept or expired.is_set():
                    raise
                self.close()  # the server had closed a connection that was kept
                status, fields, answer = self._exchange(method, path, body, sent, limit)
        except Exception as error:
            self.close()
            if isinstance(error, Error):
                raise
            if expired.is_set() or isinstance(error, TimeoutError):
                raise UnavailableError(
                    f"{self.name} did not answer within {self._timeout_seconds:g} s "
                    "(timeout_seconds)"
                ) from None
            if isinstance(error, (OSError, http.client.HTTPException)):
                raise UnavailableError(
                    f"{self.name} cannot be reached: {error or type(error).__name__}"
                ) from error
            if isinstance(error, ValueError):  # a header with a line break, and its like
                raise InvalidArgumentError(f"{self.name} cannot be asked: {error}") from error
            raise
        finally:
            timer.cancel()
        if status != 200:
            self._refuse(status, answer)
        return fields, answer

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], limit: int
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        self._connection.request(method, self._root + path, body, dict(headers))
        response = self._connection.getresponse()
        answer = bytearray()
        while part := response.read(1 << 20):
            answer += part
            if len(answer) > limit:
                raise LimitExceededError(
                    f"{self.name} answered more than {limit} bytes: let the server give class ids "
                    "in place of logits"
                )
        if response.length:  # read() with a size is silent about it
            raise http.client.IncompleteRead(bytes(answer[:100]), response.length)
        return response.status, response.headers, bytes(answer)

    def _abort(self, expired: threading.Event) -> None:
        """Ends whatever the connection waits for: its own time-out is one of each wait."""
        expired.set()
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is gone already
                pass

    def _refuse(self, status: int, answer: bytes) -> None:
        text = answer[:_MAX_ERROR_TEXT].decode("utf-8", "replace").strip()
        try:
            text = str(json.loads(answer)["error"])[:_MAX_ERROR_TEXT]
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        message = f"{self.name} answered {status} {http.client.responses.get(status, '')}: {text!r}"
        if status in (401, 403):
            raise UnauthorizedError(f"{message}; pass its token with headers={{...}}")
        if 400 <= status < 500 and status not in (408, 429):
            raise InvalidArgumentError(message)
        raise UnavailableError(message)


def _encode(request: dict[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":")).encode()


def _list(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _field(content, name, list)
    if not all(isinstance(each, dict) for each in found):
        raise MalformedDataError(f"the inference server's {name} are no objects")
    return found


def _field(content: dict[str, Any], name: str, kind: type) -> Any:
    value = content.get(name)
    if not isinstance(value, kind):
        raise MalformedDataError(
            f"the inference server answered {name} {value!r:.100}; the protocol has "
            f"{'a text' if kind is str else 'a list'} there"
        )
    return value


def _dtype(tensor: dict[str, Any]) -> np.dtype[Any]:
    name = _field(tensor, "datatype", str)
    if name not in _TYPES:
        raise MalformedDataError(
            f"the inference server has a tensor of type {name!r:.50}; known are {', '.join(_TYPES)}"
        )
    return _TYPES[name]
