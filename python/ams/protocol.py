"""The messages between device and server (docs/protocol.md), as objects and as bytes.

``encode_message``, ``decode_device_message`` and ``decode_server_message`` are there when the
package was built with its net layer (``ams.build_info()``); state machines and simulators pass the
objects on as they are.
"""

from __future__ import annotations

from ._core import (
    Ack,
    Bye,
    Control,
    Fault,
    FrameBatch,
    Hello,
    Refusal,
    Snapshot,
    SnapshotPart,
    Update,
    Welcome,
    build_info,
    protocol_version,
)
from ._functions import present_functions as _present_functions
from .errors import UnavailableError

__all__ = [
    "Ack",
    "Bye",
    "Control",
    "Fault",
    "FrameBatch",
    "Hello",
    "Refusal",
    "Snapshot",
    "SnapshotPart",
    "Update",
    "Welcome",
    "protocol_version",
]

_BYTES = ("decode_device_message", "decode_server_message", "encode_message")
if build_info()["layers"]["net"]:
    from ._net import decode_device_message, decode_server_message, encode_message  # noqa: F401

    __all__ += _BYTES
    _present_functions(globals(), __name__)


def __getattr__(name: str) -> object:
    if name in _BYTES:
        raise UnavailableError(
            f"ams.protocol.{name} needs the net layer, which this package was built without; "
            "install Boost, OpenSSL and FlatBuffers (Debian: libboost-dev libssl-dev "
            "libflatbuffers-dev flatbuffers-compiler) and build it again: pip install "
            "--force-reinstall --no-deps <folder of libams>, with --no-build-isolation if "
            "ams.torch is wanted"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
