import pytest

import ams


def test_turns_go_round():
    turns = ams.TurnScheduler()
    for name in ("a", "b", "a", "c"):
        turns.request(name)
    assert turns.waiting == 3
    order = []
    for _ in range(7):
        name = turns.grant()
        order.append(name)
        assert turns.grant() is None
        turns.finish(name)
        turns.request(name)
    assert order == ["a", "b", "c", "a", "b", "c", "a"]


def test_slots_and_leavers():
    turns = ams.TurnScheduler(slots=2)
    sessions = [("camera", i) for i in range(3)]
    for session in sessions:
        turns.request(session)
    assert turns.grant() == ("camera", 0)
    turns.request(("camera", 0))
    assert turns.grant() == ("camera", 1)
    assert turns.grant() is None
    turns.remove(("camera", 0))
    assert turns.grant() == ("camera", 2)
    assert (turns.running, turns.waiting) == (2, 0)
    with pytest.raises(ams.InvalidArgumentError):
        ams.TurnScheduler(slots=0)
