"""
Bindings of what ams-server is made of; use ams.serve and ams.Server.
"""
from __future__ import annotations
import ams._core
import collections.abc
import os
import typing
__all__: list[str] = ['Server', 'SqliteStore', 'write_self_signed_certificate']
class SqliteStore:
    """
    Sessions in a folder; see ams.SqliteStore.
    """
    def __init__(self, folder: os.PathLike[str] | str | bytes, initial: ams._core.ModelState, fingerprint: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def erase(self, device_id: str) -> None:
        """
        Forgets a device.
        """
    def load(self, device_id: str) -> ams._core.SessionRecord | None:
        """
        A SessionRecord, or None.
        """
    def save(self, record: ams._core.SessionRecord, device_id: str) -> None:
        """
        Returns when the disk has it.
        """
class Server:
    """
    A server's host, link and store; see ams.Server.
    """
    def __init__(self, *, initial: ams._core.ModelState, task: typing.Any, make_policy: collections.abc.Callable[[], ams._core.UpdatePolicy], teacher: typing.Any, teacher_frames: typing.SupportsInt | typing.SupportsIndex, trainer: typing.Any, predictor: typing.Any, fingerprint: typing.SupportsInt | typing.SupportsIndex, session: ams._core.SessionOptions, max_devices: typing.SupportsInt | typing.SupportsIndex, wrong_student_text: str, data_dir: os.PathLike[str] | str | bytes | None, address: str, port: typing.SupportsInt | typing.SupportsIndex, certificate: os.PathLike[str] | str | bytes, private_key: os.PathLike[str] | str | bytes, tokens: collections.abc.Sequence[str], credentials: os.PathLike[str] | str | bytes | None, log: typing.Any, log_level: str) -> None:
        """
        Listens, but accepts nothing before start().
        """
    def devices(self) -> str:
        """
        What GET /api/devices answers; after stop(), as it was then.
        """
    def disconnect(self, device_id: str, reason: str) -> None:
        """
        Ends its connection, if it has one.
        """
    def metrics(self) -> str:
        """
        Prometheus text about the sessions.
        """
    def reset(self, device_id: str) -> None:
        """
        Gives the device the un-customised student.
        """
    def roll_back(self, device_id: str) -> None:
        """
        Gives the device the newest of its earlier states.
        """
    def set_paused(self, device_id: str, is_paused: bool) -> None:
        """
        While paused no phase begins.
        """
    def start(self) -> None:
        """
        Serves until stop(). Once.
        """
    def stop(self) -> bool:
        """
        Ends in order, within about 5 s. False: what is being labelled or trained goes on, on a thread that
        is left running. Does nothing a second time.
        """
    @property
    def port(self) -> int:
        """
        The port listened on.
        """
def write_self_signed_certificate(certificate: os.PathLike[str] | str | bytes, private_key: os.PathLike[str] | str | bytes, hosts: collections.abc.Sequence[str], days: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    A new key and its certificate, as ams-server --generate-certificate makes them.
    """
