import math

import pytest

from ams.sim.clock import Clock


def test_events_run_in_order_of_time_and_then_of_addition():
    clock, seen = Clock(), []
    clock.at(2, lambda: seen.append(("b", clock.now_seconds)))
    clock.at(1, lambda: seen.append(("a", clock.now_seconds)))
    clock.at(2, lambda: seen.append(("c", clock.now_seconds)))
    clock.at(1, lambda: clock.after(1, lambda: seen.append(("d", clock.now_seconds))))
    clock.run()
    assert seen == [("a", 1), ("b", 2), ("c", 2), ("d", 2)]


def test_run_until_includes_that_time_and_stops_there():
    clock, seen = Clock(), []
    for second in (1, 2, 3):
        clock.at(second, lambda second=second: seen.append(second))
    clock.run(until_seconds=2)
    assert seen == [1, 2] and clock.now_seconds == 2
    clock.run(until_seconds=2.5)
    assert seen == [1, 2] and clock.now_seconds == 2.5
    clock.run()
    assert seen == [1, 2, 3] and clock.now_seconds == 3


def test_a_time_that_has_passed_means_now():
    clock, seen = Clock(), []
    clock.at(5, lambda: clock.at(1, lambda: seen.append(clock.now_seconds)))
    clock.run()
    assert seen == [5]


def test_wakers_are_called_when_they_want_to_be_after_queued_events():
    clock, seen = Clock(), []
    wakes = [1.0, 2.0]
    clock.add_waker(
        lambda: wakes[0] if wakes else None, lambda: seen.append(("wake", wakes.pop(0)))
    )
    clock.at(1, lambda: seen.append(("event", 1)))
    clock.run(until_seconds=10)
    assert seen == [("event", 1), ("wake", 1.0), ("wake", 2.0)]


def test_a_waker_that_would_stop_time_is_an_error():
    clock = Clock()
    clock.add_waker(lambda: 1.0, lambda: None)
    with pytest.raises(RuntimeError, match="1.0"):
        clock.run(until_seconds=2)


@pytest.mark.parametrize("seconds", [math.nan, math.inf])
def test_times_are_finite(seconds):
    with pytest.raises(ValueError, match="finite"):
        Clock().at(seconds, lambda: None)
