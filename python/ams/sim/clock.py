"""Virtual time: events in order, without waiting."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

Event = Callable[[], None]


class Clock:
    """An event queue in virtual time.

    Events run in the order of their times, those of one time in the order in which they were added,
    so a simulation is the same on every machine. A state machine that says itself when it wants to
    be called (`next_wake_seconds`) is added as a waker; of one time, queued events come first and
    wakers after them in the order in which they were added. Not thread-safe.
    """

    def __init__(self) -> None:
        self._now_seconds = 0.0
        self._queue: list[tuple[float, int, Event]] = []
        self._sequence = 0
        self._wakers: list[tuple[Callable[[], float | None], Event]] = []

    @property
    def now_seconds(self) -> float:
        """The time of the event that runs, or of the latest one."""
        return self._now_seconds

    def at(self, seconds: float, event: Event) -> None:
        """Runs `event` at a time; one that has passed means now. Raises ValueError unless it is
        finite."""
        if not math.isfinite(seconds):
            raise ValueError(f"Clock.at: seconds is {seconds}; it must be finite")
        self._sequence += 1
        heapq.heappush(self._queue, (max(seconds, self._now_seconds), self._sequence, event))

    def after(self, seconds: float, event: Event) -> None:
        """Runs `event` so many seconds from now."""
        self.at(self._now_seconds + seconds, event)

    def add_waker(self, next_wake_seconds: Callable[[], float | None], on_time: Event) -> None:
        """Calls `on_time` whenever `next_wake_seconds()` has come; None there means: not now.

        on_time must move its next wake on, else RuntimeError: time would stand still.
        """
        self._wakers.append((next_wake_seconds, on_time))

    def run(self, *, until_seconds: float = math.inf) -> None:
        """Runs what is due up to and including `until_seconds`, or until nothing is left."""
        while True:
            next_seconds = self._queue[0][0] if self._queue else math.inf
            waker = None
            for candidate in self._wakers:
                wake = candidate[0]()
                if wake is not None and wake < next_seconds:
                    next_seconds, waker = wake, candidate
            if next_seconds > until_seconds or next_seconds == math.inf:
                if until_seconds != math.inf:
                    self._now_seconds = max(self._now_seconds, until_seconds)
                return
            self._now_seconds = max(self._now_seconds, next_seconds)
            if waker is None:
                heapq.heappop(self._queue)[2]()
                continue
            waker[1]()
            wake = waker[0]()
            if wake is not None and wake <= self._now_seconds:
                raise RuntimeError(
                    f"a waker wants {wake:.6f} s again, and it is {self._now_seconds:.6f} s"
                )
