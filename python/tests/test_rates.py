"""Equation (1) and appendix D against plain Python."""

import numpy as np
import pytest

import ams


def test_sampling_rate_follows_equation_1():
    rng = np.random.default_rng(4)
    controller = ams.SamplingRateController(
        min_fps=0.2,
        max_fps=2,
        initial_fps=1,
        step_fps=0.7,
        phi_target=0.3,
        interval_seconds=5,
        start_seconds=100,
    )
    rate = 1.0
    assert not controller.due(104.9) and controller.due(105)
    for k in range(50):
        phi = rng.random()
        rate = min(max(rate + 0.7 * (phi - 0.3), 0.2), 2)
        assert controller.decide(105 + 5 * k, phi) == pytest.approx(rate)
    assert controller.rate_fps == pytest.approx(rate)

    other = ams.SamplingRateController(
        min_fps=0.2, max_fps=2, initial_fps=1, step_fps=0.7, phi_target=0.3, interval_seconds=5
    )
    other.restore(**controller.state())
    assert other.decide(360, 0.5) == controller.decide(360, 0.5)


@pytest.mark.parametrize(
    "arguments",
    [
        {"min_fps": 0},
        {"max_fps": 0.01},
        {"initial_fps": 3},
        {"step_fps": -1},
        {"phi_target": float("inf")},
        {"interval_seconds": 0},
        {"start_seconds": float("nan")},
    ],
)
def test_sampling_rate_refuses_options_out_of_range(arguments):
    with pytest.raises(ams.InvalidArgumentError):
        ams.SamplingRateController(**arguments)


def test_a_bad_decision_changes_nothing():
    controller = ams.SamplingRateController()
    before = controller.state()
    with pytest.raises(ams.InvalidArgumentError):
        controller.decide(10, float("nan"))
    with pytest.raises(ams.InvalidArgumentError):
        controller.restore(rate_fps=5, next_decision_seconds=0)
    assert controller.state() == before


def test_training_rate_follows_appendix_d():
    rng = np.random.default_rng(6)
    controller = ams.TrainingRateController(base_interval_seconds=10, max_factor=3, window=4)
    interval, slow, recent = 10.0, False, []
    for _ in range(300):
        if rng.random() < 0.5:
            rate = rng.choice([0.1, 0.3, 0.6])
            controller.observe(rate)
            recent = (recent + [rate])[-4:]
            mean = np.mean(recent)
            slow = True if mean < 0.25 else False if mean > 0.35 else slow
            if not slow:
                interval = 10.0
        else:
            interval = min(interval + 2, 30) if slow else 10.0
            assert controller.advance() == pytest.approx(interval)
        assert controller.interval_seconds == pytest.approx(interval)
        assert controller.slowed_down == slow
    other = ams.TrainingRateController(base_interval_seconds=10, max_factor=3, window=4)
    other.restore(**controller.state())
    assert other.state() == controller.state()
    with pytest.raises(ams.InvalidArgumentError):
        controller.observe(0)
    with pytest.raises(ams.InvalidArgumentError):
        ams.TrainingRateController(window=0)
