"""One accelerator that teachers and trainers of all devices share."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable

from ams import TurnScheduler
from ams.sim.clock import Clock

# Begins the work and gives its seconds and what to do when they have passed; None when it is not
# wanted any more.
Work = Callable[[], tuple[float, Callable[[], None]] | None]


class Accelerator:
    """Labels and trains for any number of devices, one piece of work at a time, in fair turns.

    The turns are those of the library's TurnScheduler: round robin over all that ask (section 4.2,
    figure 6). Work begins when its turn comes, so that a busy accelerator trains on the newest
    samples. Not thread-safe.
    """

    def __init__(self, clock: Clock, *, slots: int = 1) -> None:
        """slots: pieces of work at a time, >= 1."""
        if slots < 1:
            raise ValueError(f"Accelerator: slots is {slots}; it must be >= 1")
        self._clock = clock
        self._turns = TurnScheduler(slots)
        self._work: dict[Hashable, deque[Work]] = defaultdict(deque)
        self._running: set[Hashable] = set()
        self._busy_seconds = 0.0

    @property
    def busy_seconds(self) -> float:
        """Sum over all work begun so far."""
        return self._busy_seconds

    def request(self, who: Hashable, work: Work) -> None:
        """Queues work; that of one `who` is done in order, one piece a turn."""
        self._work[who].append(work)
        if len(self._work[who]) == 1 and who not in self._running:
            self._turns.request(who)
        self._grant()

    def _grant(self) -> None:
        while (who := self._turns.grant()) is not None:
            self._running.add(who)
            begun = self._work[who].popleft()()
            if begun is None:
                self._finish(who)
                continue
            seconds, done = begun
            self._busy_seconds += seconds

            def end(who: Hashable = who, done: Callable[[], None] = done) -> None:
                self._finish(who)
                done()
                self._grant()

            self._clock.after(seconds, end)

    def _finish(self, who: Hashable) -> None:
        self._turns.finish(who)
        self._running.discard(who)
        if self._work[who]:
            self._turns.request(who)
