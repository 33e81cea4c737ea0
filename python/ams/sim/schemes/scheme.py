"""What every scheme is."""

from __future__ import annotations

from typing import Protocol

from ams.sim.result import RunResult
from ams.sim.setting import Setting
from ams.sim.stream import Stream


class Scheme(Protocol):
    """A way to label a device's video. Its own settings are its fields; run() may be called any
    number of times and keeps nothing."""

    name: str
    """As in results: ams, no_customization, one_time, remote_tracking, just_in_time."""

    def run(self, stream: Stream, setting: Setting) -> RunResult:
        """Called by ams.sim.run, which selects the stream's classes in the student first."""
