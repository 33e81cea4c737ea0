import copy

import numpy as np
import pytest
from torch_support import torch

import ams
from ams import sim

if not ams.build_info()["layers"]["net"]:
    pytest.skip("this build of libams has no net layer", allow_module_level=True)


def regression(seed=0):
    """A module that has to follow y = 3 x0 - x1, and does not know it yet."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))


def frames(seconds):
    random = np.random.default_rng(1)
    for i in range(seconds * 2):
        yield i / 2, torch.tensor(random.uniform(-1, 1, 2), dtype=torch.float32)


def teacher(frame):
    return (3 * frame[0] - frame[1]).reshape(1)


def error(module, frame, labels):
    return float((module(frame) - labels).abs())


def adapt(module, **changes):
    options = {
        "loss": torch.nn.functional.mse_loss,
        "score": error,
        "strategy": "gradient_guided",
        "gamma": 0.5,
        "learning_rate": 0.02,
        "update_interval_seconds": 5,
        "iterations": 20,
        "seed": 3,
    }
    return sim.adapt(module, frames(60), teacher, **{**options, **changes})


def test_any_module_is_adapted_and_the_given_one_is_not_touched():
    module = regression()
    before = copy.deepcopy(module.state_dict())
    adapted = adapt(module)
    assert adapted.digests_equal and adapted.updates >= 8
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    late = np.array([row for row in adapted.scores if row[0] >= 30])
    assert late[:, 1].mean() < 0.3 * late[:, 2].mean()
    assert adapted.downlink_bytes > adapted.update_bytes > 0
    assert not torch.equal(adapted.module[0].weight, module[0].weight)


def test_equal_seeds_give_equal_scores():
    assert adapt(regression()).scores == adapt(regression()).scores


def test_the_sampling_rate_follows_phi():
    still = adapt(regression(), phi=lambda before, now: 0.0)
    assert still.sampling_rates[-1][1] < 0.5 < still.sampling_rates[0][1]
    fixed = adapt(regression())
    assert [rate for _, rate in fixed.sampling_rates] == [1.0]


def test_an_outage_is_survived():
    link = sim.Link(outages=((12.0, 31.0),))
    adapted = adapt(regression(), link=link)
    assert adapted.digests_equal and adapted.updates >= 4


def test_wrong_options_are_the_librarys_error():
    with pytest.raises(ams.InvalidArgumentError, match="gamma"):
        adapt(regression(), gamma=2)
