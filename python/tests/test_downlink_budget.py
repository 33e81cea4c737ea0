import pytest

import ams


def test_the_mean_over_every_window_keeps_to_the_budget():
    options = {"budget_bps": 4000, "window_seconds": 60, "overhead_bytes": 40}
    budget = ams.DownlinkBudget(**options)
    steady = budget.steady_bytes(10)
    assert steady == pytest.approx(4000 / 8 * 10 - 40)
    spent = []
    for now in range(0, 600, 10):
        allowed = budget.allowance_bytes(now, 10, scene_changed=now in (200, 400))
        size = allowed if not 150 <= now < 200 else 100  # a quiet time
        budget.spend(now, size, 10)
        spent.append((now, size + 40))
    for end in range(60, 600, 10):
        window = sum(size for now, size in spent if end - 60 < now <= end)
        assert window <= 4000 / 8 * 60 * 1.001
    sizes = dict(spent)
    assert sizes[200] > 1.5 * sizes[140]  # what was saved goes out when the scene changes
    assert max(sizes.values()) <= 4 * 4000 / 8 * 10  # the default of link_bps
    late = [size for now, size in spent if now >= 300]
    assert sum(late) >= 0.9 * 4000 / 8 * 10 * len(late)  # and little is left over


def test_no_update_is_larger_than_the_link_takes():
    budget = ams.DownlinkBudget(budget_bps=1000, link_bps=1000)
    assert budget.allowance_bytes(1000, 5, scene_changed=True) <= 1000 / 8 * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_bps": 10}, "budget_bps"),
        ({"budget_bps": float("nan")}, "budget_bps"),
        ({"budget_bps": "fast"}, "budget_bps is 'fast'"),
        ({"budget_bps": 1000, "link_bps": 500}, "link_bps"),
        ({"window_seconds": 0.5}, "window_seconds"),
        ({"overhead_bytes": -1}, "overhead_bytes"),
    ],
)
def test_refuses_options_out_of_range(options, message):
    with pytest.raises(ams.InvalidArgumentError, match=message):
        ams.DownlinkBudget(**options)


def test_refuses_what_is_no_interval_or_option():
    with pytest.raises(TypeError, match="budget_bps"):
        ams.DownlinkBudget(budget=1000)
    for seconds in (0, -1, 4000, float("nan")):
        with pytest.raises(ams.InvalidArgumentError):
            ams.DownlinkBudget().allowance_bytes(0, seconds)
