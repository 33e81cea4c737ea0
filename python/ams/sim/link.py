"""A link of given bandwidth, delay and outages, counted in bytes on the socket."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ams import protocol
from ams.sim.clock import Clock

# docs/protocol.md, "What is counted". A chunk with its WebSocket header fills one TLS record.
MAX_CHUNK_BYTES = 16376
TLS_RECORD_BYTES = 22
MASK_BYTES = 4  # a device must mask what it sends
CONNECT_UPLINK_BYTES = 600  # from TCP to Hello: ClientHello, Finished, the HTTP request
CONNECT_DOWNLINK_BYTES = 960  # ServerHello, a P-256 certificate, Finished, the HTTP answer
CONNECT_ROUND_TRIPS = 3  # TCP, TLS 1.3, WebSocket
CLOSE_BYTES = 2 + 2 + TLS_RECORD_BYTES + 24  # close frame with its code, and TLS's close_notify


def socket_bytes(message_bytes: int, *, from_device: bool) -> int:
    """Bytes that a message costs on the TCP socket, below TLS (docs/protocol.md).

    message_bytes: of the encoded message, its kind included, as `encode_message` gives it; at least
        1.
    """
    if message_bytes < 1:
        raise ValueError(f"message_bytes is {message_bytes}; a message has at least 1 byte")
    if message_bytes + 1 <= MAX_CHUNK_BYTES:
        chunks = [message_bytes + 1]
    else:
        chunks = [MAX_CHUNK_BYTES]
        rest = message_bytes - (MAX_CHUNK_BYTES - 9)  # the first chunk also announces the size
        while rest > 0:
            part = min(rest, MAX_CHUNK_BYTES - 1)
            chunks.append(part + 1)
            rest -= part
    overhead = TLS_RECORD_BYTES + (MASK_BYTES if from_device else 0)
    return sum(chunk + (2 if chunk < 126 else 4) + overhead for chunk in chunks)


def message_socket_bytes(message: object, *, from_device: bool) -> int:
    """socket_bytes of a protocol message."""
    return socket_bytes(len(protocol.encode_message(message)), from_device=from_device)


@dataclass(frozen=True, kw_only=True)
class Link:
    """What lies between a device and its server. A plain value.

    uplink_bps, downlink_bps: bits per second each way, > 0; math.inf for no limit.
    delay_seconds: one way, >= 0.
    outages: (begin, end) in seconds of stream time, ascending and apart; the link is down from
        begin (included) to end.
    """

    uplink_bps: float = 20e6
    downlink_bps: float = 20e6
    delay_seconds: float = 0.03
    outages: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("uplink_bps", "downlink_bps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Link: {name} is {getattr(self, name)}; it must be > 0")
        if not (self.delay_seconds >= 0 and math.isfinite(self.delay_seconds)):
            raise ValueError(f"Link: delay_seconds is {self.delay_seconds}; it must be >= 0")
        last = 0.0
        for begin, end in self.outages:
            if not (last <= begin < end < math.inf):
                raise ValueError(
                    f"Link: outages are {self.outages}; each is (begin, end), 0 <= begin < end, "
                    "ascending and apart"
                )
            last = end

    @staticmethod
    def ideal() -> Link:
        """No limit of bandwidth, no delay, no outages."""
        return Link(uplink_bps=math.inf, downlink_bps=math.inf, delay_seconds=0)

    def is_up(self, seconds: float) -> bool:
        """Whether a connection is possible at this time."""
        return not any(begin <= seconds < end for begin, end in self.outages)


@dataclass
class _Direction:
    bps: float
    sent_bytes: float = 0.0
    sent: list[tuple[float, int]] = field(default_factory=list)  # when queued, and its bytes
    free_seconds: float = 0.0  # when what is queued has left
    # When each queued message begins and ends to leave, and its bytes.
    leaving: deque[tuple[float, float, int]] = field(default_factory=deque)

    def send(self, size_bytes: int, now_seconds: float) -> float:
        """Queues bytes; gives the time when the last one has left."""
        begin = max(now_seconds, self.free_seconds)
        self.free_seconds = begin + size_bytes * 8 / self.bps
        self.sent_bytes += size_bytes
        self.sent.append((now_seconds, size_bytes))
        while self.leaving and self.leaving[0][1] <= now_seconds:
            self.leaving.popleft()
        self.leaving.append((begin, self.free_seconds, size_bytes))
        return self.free_seconds

    def cut(self, now_seconds: float) -> None:
        """Takes back what has not left yet."""
        for begin, end, size_bytes in self.leaving:
            if end > now_seconds:
                left = max(0.0, now_seconds - begin) / (end - begin)
                self.sent_bytes -= size_bytes * (1 - left)
        self.leaving.clear()
        self.free_seconds = now_seconds


class Connection:
    """A device's connection over a Link, in virtual time: one at a time, made again as often as
    wanted.

    Each direction is one queue: a message begins to leave when the one before it has left, takes
    bytes * 8 / bps, and arrives delay_seconds later. Messages that are on their way when the link
    is cut are lost; bytes that had not left are not counted. Messages do not overtake each other
    (over the real link, small ones pass between the chunks of big ones), and pings are not
    modelled.
    """

    def __init__(self, clock: Clock, link: Link, *, on_lost: Callable[[str], None]) -> None:
        """on_lost: called once for every connection that ends, with the reason, after on_open."""
        self._clock = clock
        self._link = link
        self._on_lost = on_lost
        self._up = _Direction(link.uplink_bps)
        self._down = _Direction(link.downlink_bps)
        self._number = 0
        self._open = False
        self._closing = False
        for begin, _ in link.outages:
            clock.at(begin, lambda: self._cut("the link is down"))

    @property
    def is_open(self) -> bool:
        return self._open

    @property
    def uplink_bytes(self) -> int:
        """Bytes that have left the device so far, over all connections; what is queued counts."""
        return round(self._up.sent_bytes)

    @property
    def downlink_bytes(self) -> int:
        """Bytes that have left the server so far."""
        return round(self._down.sent_bytes)

    def busiest_downlink_bytes(self, window_seconds: float) -> int:
        """Most bytes that the server sent within any half-open window of this length."""
        most = total = first = 0
        for seconds, size_bytes in self._down.sent:
            total += size_bytes
            while self._down.sent[first][0] <= seconds - window_seconds:
                total -= self._down.sent[first][1]
                first += 1
            most = max(most, total)
        return most

    def connect(self, on_open: Callable[[], None], on_failed: Callable[[str], None]) -> None:
        """Opens a connection (TCP, TLS and WebSocket: three round trips); answers by one of the
        two."""
        if not self._link.is_up(self._clock.now_seconds):
            self._clock.after(self._link.delay_seconds, lambda: on_failed("the link is down"))
            return
        self._number += 1
        number = self._number
        now = self._clock.now_seconds
        up = self._up.send(CONNECT_UPLINK_BYTES, now)
        down = self._down.send(CONNECT_DOWNLINK_BYTES, now)
        opens = max(up, down) + 2 * CONNECT_ROUND_TRIPS * self._link.delay_seconds

        def arrive() -> None:
            if self._number != number:  # cut while it was being made
                on_failed("the link is down, or the attempt was given up")
                return
            self._open = True
            self._closing = False
            on_open()

        self._clock.at(opens, arrive)

    def send_up(self, size_bytes: int, deliver: Callable[[], None]) -> None:
        """Sends so many bytes on the socket to the server; `deliver` runs when the last one is
        there.

        Without an open connection they are lost, uncounted.
        """
        self._send(self._up, size_bytes, deliver)

    def send_down(self, size_bytes: int, deliver: Callable[[], None]) -> None:
        """As send_up, to the device."""
        self._send(self._down, size_bytes, deliver)

    def close(self, reason: str) -> None:
        """Ends the connection in good order: what is queued still arrives, then on_lost comes. An
        attempt at one is given up, and on_failed comes."""
        if self._closing:
            return
        if not self._open:
            self._cut(reason)
            return
        self._closing = True
        now = self._clock.now_seconds
        left = max(self._up.send(CLOSE_BYTES + MASK_BYTES, now), self._down.send(CLOSE_BYTES, now))
        number = self._number

        def end() -> None:
            if self._number == number:
                self._cut(reason)

        self._clock.at(left + self._link.delay_seconds, end)

    def _send(self, direction: _Direction, size_bytes: int, deliver: Callable[[], None]) -> None:
        if not self._open:
            return
        number = self._number
        left = direction.send(size_bytes, self._clock.now_seconds)

        def arrive() -> None:
            if self._number == number and self._open:
                deliver()

        self._clock.at(left + self._link.delay_seconds, arrive)

    def _cut(self, reason: str) -> None:
        now = self._clock.now_seconds
        self._number += 1  # whatever is on its way belongs to a connection that is gone
        self._up.cut(now)
        self._down.cut(now)
        if self._open:
            self._open = False
            self._on_lost(reason)
