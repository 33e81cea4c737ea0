"""Sessions on disk, for who drives ams.ServerSession or hosts by hand."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgumentError, UnavailableError

if TYPE_CHECKING:
    from .._core import ModelState, SessionRecord


class SqliteStore:
    """Sessions in one SQLite database in a folder, as ams-server and ams.Server keep them.

        store = ams.SqliteStore("sessions", initial)
        store.save(session.record(), "camera")
        ...                                         # in another process, later:
        session = ams.ServerSession.from_record(store.load("camera"), initial, task, policy)

    `folder`: made where it is not there. `initial`: the state that the sessions began with.
    `fingerprint`: of the student's frozen parts, 64 bits, where students with the same tensors share
    a folder; 0: none.

    What a session goes on from: the version and values that its device has, the last updates, Adam's
    moments, counters, and samples whose labels the task packs. Its rates and its random numbers
    begin anew. Bytes on disk are checked: a damaged database is set aside, a session of which the
    newest part is damaged goes on from the newest version before it. One process has a folder open
    at a time. Thread-safe. It is a SessionStore of ams.parts.

    Raises ams.InvalidArgumentError, and ams.UnavailableError where the folder cannot be used, is open
    in another process, or this build has no store.
    """

    def __init__(
        self, folder: str | os.PathLike[str], initial: ModelState, *, fingerprint: int = 0
    ) -> None:
        if not 0 <= fingerprint < 2**64:
            raise InvalidArgumentError(f"fingerprint is {fingerprint}; allowed is 0 to 2**64 - 1")
        try:
            from .. import _serve
        except ImportError as error:
            raise UnavailableError(f"ams.SqliteStore needs the layer store ({error})") from error
        self._store: Any = _serve.SqliteStore(os.fspath(folder), initial, fingerprint)

    def load(self, device_id: str) -> SessionRecord | None:
        """What was saved last, or None. Raises ams.UnavailableError when the disk cannot be read,
        and ams.MalformedDataError when the session's model cannot."""
        record: SessionRecord | None = self._store.load(device_id)
        return record

    def save(self, record: SessionRecord, device_id: str = "") -> None:
        """Writes what has changed, and returns when the disk has it. device_id: by default the
        record's. Raises ams.UnavailableError, e.g. when the disk is full; what was saved before
        stays."""
        if not (device_id or record.device_id):
            raise InvalidArgumentError("the record says no device_id: give one")
        self._store.save(record, device_id)

    def erase(self, device_id: str) -> None:
        """Forgets a device."""
        self._store.erase(device_id)
