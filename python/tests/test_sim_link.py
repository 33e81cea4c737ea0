import math

import pytest

import ams

if not ams.build_info()["layers"]["net"]:
    pytest.skip("this build of libams has no net layer", allow_module_level=True)

from ams import protocol
from ams.sim.clock import Clock
from ams.sim.link import (
    CLOSE_BYTES,
    CONNECT_DOWNLINK_BYTES,
    CONNECT_UPLINK_BYTES,
    MASK_BYTES,
    Connection,
    Link,
    message_socket_bytes,
    socket_bytes,
)


def connected(link, *, clock=None):
    """A clock at the moment when the connection is open, the connection, and what it reports."""
    clock = clock or Clock()
    reports = []
    connection = Connection(clock, link, on_lost=lambda reason: reports.append(("lost", reason)))
    connection.connect(
        lambda: reports.append(("open", clock.now_seconds)),
        lambda reason: reports.append(("failed", clock.now_seconds)),
    )
    return clock, connection, reports


def test_bytes_on_the_socket_are_those_that_the_protocol_page_names():
    update = protocol.Update(bytes(1000))
    assert message_socket_bytes(update, from_device=False) == 1028
    ack = protocol.Ack(held=ams.ModelVersion(1, 2))
    assert message_socket_bytes(ack, from_device=True) == 42
    control = protocol.Control(sampling_rate_fps=0.5, update_interval_seconds=10)
    assert message_socket_bytes(control, from_device=False) == 42


def test_a_message_in_several_chunks_pays_for_each():
    # 16376 bytes a chunk: 9 of header in the first, 1 in the others; 4 + 22 a chunk around it.
    whole = 16375
    assert socket_bytes(whole, from_device=False) == whole + 1 + 26
    two = whole + 1
    assert (
        socket_bytes(two, from_device=False) == two + 9 + 1 + 2 + 22 + 26
    )  # 9 bytes are left over
    five = 77_001
    assert socket_bytes(five, from_device=False) == five + 9 + 4 + 5 * 26
    assert socket_bytes(five, from_device=True) == five + 9 + 4 + 5 * 30
    with pytest.raises(ValueError, match="at least 1"):
        socket_bytes(0, from_device=True)


def test_messages_leave_one_after_another_and_arrive_after_the_delay():
    link = Link(uplink_bps=8000, downlink_bps=80_000, delay_seconds=0.25)
    clock, connection, reports = connected(link)
    clock.run()
    # Three round trips, and the slower direction's bytes.
    opened = CONNECT_UPLINK_BYTES * 8 / 8000 + 6 * 0.25
    assert reports == [("open", pytest.approx(opened))]
    arrived = []
    for size in (1000, 500):
        connection.send_up(size, lambda size=size: arrived.append((size, clock.now_seconds)))
    connection.send_down(1000, lambda: arrived.append(("down", clock.now_seconds)))
    clock.run()
    assert arrived == [
        ("down", pytest.approx(opened + 0.1 + 0.25)),
        (1000, pytest.approx(opened + 1.0 + 0.25)),
        (500, pytest.approx(opened + 1.5 + 0.25)),
    ]
    assert connection.uplink_bytes == CONNECT_UPLINK_BYTES + 1500
    assert connection.downlink_bytes == CONNECT_DOWNLINK_BYTES + 1000


def test_an_outage_cuts_both_ways_and_counts_what_had_left():
    link = Link(uplink_bps=8000, downlink_bps=math.inf, delay_seconds=0, outages=((10.0, 20.0),))
    clock, connection, reports = connected(link)
    arrived = []
    clock.at(9, lambda: connection.send_up(2000, lambda: arrived.append(clock.now_seconds)))
    clock.run(until_seconds=15)
    assert reports[1:] == [("lost", "the link is down")] and not connection.is_open
    assert arrived == []
    assert connection.uplink_bytes == CONNECT_UPLINK_BYTES + 1000  # 1 s of the 2 s had passed
    connection.send_up(100, lambda: arrived.append("never"))
    connection.connect(lambda: None, lambda reason: reports.append(reason))
    clock.run(until_seconds=19)
    assert reports[-1] == "the link is down"
    clock.at(20, lambda: connection.connect(lambda: reports.append("again"), lambda reason: None))
    clock.run()
    assert reports[-1] == "again" and connection.is_open and arrived == []


def test_an_attempt_during_which_the_link_fails_fails():
    link = Link(uplink_bps=8000, downlink_bps=8000, delay_seconds=0, outages=((0.5, 1.0),))
    clock, connection, reports = connected(link)
    clock.run()
    assert [kind for kind, _ in reports] == ["failed"]


def test_an_attempt_that_is_given_up_fails_and_the_next_one_opens():
    link = Link(uplink_bps=8000, downlink_bps=8000, delay_seconds=0.1)
    clock, connection, reports = connected(link)
    clock.at(0.1, lambda: connection.close("stopped"))
    clock.run()
    assert [kind for kind, _ in reports] == ["failed"] and not connection.is_open
    connection.connect(lambda: reports.append("again"), lambda reason: reports.append(reason))
    clock.run()
    assert reports[1:] == ["again"] and connection.is_open


def test_close_lets_what_is_queued_arrive():
    link = Link(uplink_bps=8000, downlink_bps=8000, delay_seconds=0.1)
    clock, connection, reports = connected(link)
    clock.run()
    before = connection.uplink_bytes
    connection.send_down(1000, lambda: reports.append(("arrived", clock.now_seconds)))
    connection.close("done")
    connection.close("done twice")
    clock.run()
    assert [report[0] for report in reports] == ["open", "arrived", "lost"]
    assert reports[-1] == ("lost", "done")
    assert connection.uplink_bytes == before + CLOSE_BYTES + MASK_BYTES


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"uplink_bps": 0}, "uplink_bps"),
        ({"downlink_bps": math.nan}, "downlink_bps"),
        ({"delay_seconds": -1}, "delay_seconds"),
        ({"outages": ((5, 3),)}, "outages"),
        ({"outages": ((5, 8), (7, 9))}, "outages"),
    ],
)
def test_wrong_links_are_refused_by_name(wrong, name):
    with pytest.raises(ValueError, match=name):
        Link(**wrong)
