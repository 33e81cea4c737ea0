"""A policy of one's own in one class: it works in a session, in both hosts and in the simulator."""

import numpy as np
import pytest
from virtual_world import need_net, run_hosts, run_session

import ams


class Alternating(ams.UpdatePolicy):
    """Trains one tensor a phase, each in its turn; sends it in profile compact."""

    update_interval_seconds = 5.0

    def prepare(self, initial):
        self.tensors = initial.manifest.tensors
        self.phases = 0

    def plan(self, context, random):
        turn = self.phases % len(self.tensors)
        self.phases += 1
        held = context.held
        tensor = self.tensors[turn]
        return ams.PhasePlan(
            parameters=held.values,
            coordinates=range(tensor.offset, tensor.offset + tensor.size),
            required_gradients=[number == turn for number in range(len(self.tensors))],
            learning_rate=0.1,
        )

    def encode(self, now_seconds, losses):
        return ams.EncodePlan([ams.EncodeOptions(profile="compact", relative_step=0.5)])


def test_in_a_session():
    policy = Alternating()
    server, device = run_session(ams.Task(), policy)
    assert server.counters.updates == policy.phases > 8
    assert server.update_interval_seconds == device.update_interval_seconds == 5
    assert np.allclose(device.held.values, [2, 1], atol=0.2)
    assert device.held_version == server.held_version


def test_in_both_hosts():
    device = run_hosts(ams.Task(), Alternating)
    assert device.counters.updates > 8 and device.digests_equal
    assert np.allclose(device.session.held.values, [2, 1], atol=0.2)


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
        make_policy=Alternating,
    )
    assert adapted.updates > 8 and adapted.digests_equal
    assert adapted.module.weight.item() == pytest.approx(2, abs=0.2)
