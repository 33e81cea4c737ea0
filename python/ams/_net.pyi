"""
Bindings of ams::net; use ams.protocol.
"""
from __future__ import annotations
import ams._core
import numpy
import typing
__all__: list[str] = ['decode_device_message', 'decode_server_message', 'encode_message']
def decode_device_message(data: bytes | bytearray | memoryview | numpy.ndarray) -> ams._core.Hello | ams._core.FrameBatch | ams._core.Ack | ams._core.Refusal | ams._core.Bye:
    """
    What a device sent: Hello, FrameBatch, Ack, Refusal or Bye. data: any bytes-like object, from
    anyone. Raises MalformedDataError on bytes that are no such message, LimitExceededError on one that
    breaks a limit.
    """
def decode_server_message(data: bytes | bytearray | memoryview | numpy.ndarray) -> ams._core.Welcome | ams._core.Control | ams._core.Update | ams._core.Snapshot | ams._core.Fault | ams._core.Bye | ams._core.SnapshotPart:
    """
    What a server sent: Welcome, Control, Update, Snapshot, Fault or Bye. Raises as
    decode_device_message() does.
    """
@typing.overload
def encode_message(message: ams._core.Hello | ams._core.FrameBatch | ams._core.Ack | ams._core.Refusal | ams._core.Bye) -> bytes:
    ...
@typing.overload
def encode_message(message: ams._core.Welcome | ams._core.Control | ams._core.Update | ams._core.Snapshot | ams._core.Fault | ams._core.Bye | ams._core.SnapshotPart) -> bytes:
    """
    One message as bytes: its kind, then the body (docs/protocol.md). Raises InvalidArgumentError on a
    message that breaks a limit of the protocol, LimitExceededError on one that is too long. Free text
    that is too long is cut.
    """
