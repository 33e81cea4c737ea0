"""A task of one's own in one class: it works in a session, in both hosts and in the simulator."""

import numpy as np
import pytest
from virtual_world import need_net, run_hosts, run_session

import ams


class Score:
    """Mean absolute error, from 1 (none) down."""

    def __init__(self):
        self.errors = []

    def add(self, prediction, label, capture_seconds):
        self.errors.append(float(abs(prediction - label)))
        return max(0.0, 1 - self.errors[-1])

    def summary(self):
        return [("error", sum(self.errors) / len(self.errors) if self.errors else None)]


class Regression(ams.Task):
    """Samples are (x, y); two labels differ by their distance."""

    name = "regression"

    def phi(self, previous, current):
        return float(abs(current[1] - previous[1]))

    def size_bytes(self, sample):
        return 16

    def score(self):
        return Score()


def make_policy():
    return ams.FixedPolicy(
        strategy="full",
        learning_rate=0.1,
        update_interval_seconds=5,
        phi_target=10.0,
        profile="reference",
    )


def test_in_a_session():
    task = Regression()
    server, device = run_session(task, make_policy())
    assert server.counters.updates > 4
    assert server.sampling_rate_fps < 1  # phi stays under its target
    assert np.allclose(device.held.values, [2, 1], atol=0.1)
    score = task.score()
    assert score.add(0.5, 1.0, 0.0) == 0.5
    assert score.summary() == [("error", 0.5)] and task.name == "regression"


def test_in_both_hosts():
    device = run_hosts(Regression(), make_policy)
    assert device.counters.updates > 4 and device.digests_equal
    assert device.sampling_rates[-1][1] < device.sampling_rates[0][1] == 1


def test_in_the_simulator():
    need_net()
    torch = pytest.importorskip("torch")
    from ams import sim

    torch.manual_seed(1)
    frames = ((k / 4, torch.rand(1) * 2 - 1) for k in range(240))
    adapted = sim.adapt(
        torch.nn.Linear(1, 1),
        frames,
        lambda x: 2 * x + 1,
        loss=torch.nn.functional.mse_loss,
        task=Regression(),
        make_policy=make_policy,
    )
    assert adapted.updates > 4 and adapted.digests_equal
    assert adapted.sampling_rates[-1][1] < 1
