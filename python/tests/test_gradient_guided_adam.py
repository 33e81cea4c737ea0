"""Algorithm 2 against a plain numpy one."""

import numpy as np
import pytest

import ams


class PlainAdam:
    """Algorithm 2 as it is printed, in float64."""

    def __init__(self, dimension, gamma, lr, beta1, beta2, epsilon, inside_root):
        self.m, self.v = np.zeros(dimension), np.zeros(dimension)
        self.u = np.zeros(dimension)
        self.i = 0
        self.gamma, self.lr, self.beta1, self.beta2 = gamma, lr, beta1, beta2
        self.epsilon, self.inside_root = epsilon, inside_root

    def choose(self):
        count = round(self.gamma * self.m.size)
        order = np.argsort(-np.abs(self.u), kind="stable")
        return np.sort(order[:count])

    def step(self, w, g, chosen):
        self.i += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g * g
        m, v = self.m / (1 - self.beta1**self.i), self.v / (1 - self.beta2**self.i)
        if self.inside_root:
            correction = np.sqrt(1 - self.beta2**self.i) / (1 - self.beta1**self.i)
            self.u = self.lr * correction * self.m / np.sqrt(self.v + self.epsilon)
        else:
            self.u = self.lr * m / (np.sqrt(v) + self.epsilon)
        w[chosen] -= self.u[chosen]


@pytest.mark.parametrize("placement", ["outside_root", "inside_root"])
@pytest.mark.parametrize("gamma", [0.05, 0.3, 1.0])
def test_follows_the_paper(placement, gamma):
    rng = np.random.default_rng(5)
    n = 400
    scales = 10.0 ** rng.uniform(-3, 1, n)
    adam = ams.GradientGuidedAdam(
        n, gamma=gamma, learning_rate=0.01, beta1=0.8, beta2=0.99, epsilon_placement=placement
    )
    plain = PlainAdam(n, gamma, 0.01, 0.8, 0.99, 1e-8, placement == "inside_root")
    ours = rng.standard_normal(n).astype(np.float32)
    theirs = ours.astype(np.float64)
    for phase in range(4):
        before = ours.copy()
        chosen = adam.begin_phase()
        assert len(chosen) == ams.fraction_count(gamma, n)
        assert chosen == adam.coordinates
        if phase > 0:
            # float32 and float64 may rank near-equals differently.
            agreement = np.isin(chosen.indices, plain.choose()).mean()
            assert agreement > 0.95
        for _ in range(5):
            gradient = (scales * rng.standard_normal(n)).astype(np.float32)
            adam.step(ours, gradient)
            plain.step(theirs, gradient.astype(np.float64), chosen.indices)
        moved = np.flatnonzero(ours != before)
        assert np.isin(moved, chosen.indices).all()
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    state = adam.state()
    assert np.allclose(state["first_moment"], plain.m, rtol=1e-3, atol=1e-6)
    assert np.allclose(state["second_moment"], plain.v, rtol=1e-3, atol=1e-9)
    assert state["step_count"] == 20 and state["phase_count"] == 4


def test_a_saved_state_goes_on_exactly():
    rng = np.random.default_rng(2)
    gradients = rng.standard_normal((30, 200)).astype(np.float32)

    def run(adam, weights, part):
        for k, gradient in enumerate(part):
            if k % 5 == 0:
                adam.begin_phase()
            adam.step(weights, gradient)

    whole, weights = ams.GradientGuidedAdam(200, gamma=0.1, seed=9), np.ones(200, np.float32)
    run(whole, weights, gradients)
    first, halves = ams.GradientGuidedAdam(200, gamma=0.1, seed=9), np.ones(200, np.float32)
    run(first, halves, gradients[:15])
    second = ams.GradientGuidedAdam(200, gamma=0.1, seed=1)
    second.restore(first.state())
    run(second, halves, gradients[15:])
    assert np.array_equal(weights, halves)
    assert second.state()["seed"] == 9


def test_restore_refuses_what_is_no_state():
    adam = ams.GradientGuidedAdam(10)
    adam.begin_phase()
    good = adam.state()
    for change in (
        {"first_moment": np.zeros(11, np.float32)},
        {"first_moment": np.full(10, np.nan, np.float32)},
        {"second_moment": np.full(10, -1, np.float32)},
        {"second_moment": np.zeros(10)},
        {"step_count": -1},
        {"coordinates": ams.CoordinateSet.all(11)},
    ):
        with pytest.raises(ams.InvalidArgumentError):
            adam.restore({**good, **change})
    with pytest.raises(ams.InvalidArgumentError, match="step_count"):
        adam.restore({k: v for k, v in good.items() if k != "step_count"})
    with pytest.raises(ams.InvalidArgumentError, match="coordinates"):
        adam.restore({**good, "coordinates": "all"})
    assert adam.state()["coordinates"] == good["coordinates"]


def test_statistics_are_never_chosen_and_layers_tell_their_gradients():
    manifest = ams.Manifest([("first", (50,)), ("mean", (50,), "statistic"), ("last", (50,))])
    full = ams.GradientGuidedAdam(manifest, strategy="full")
    assert np.array_equal(full.begin_phase().indices, np.r_[0:50, 100:150])
    last = ams.GradientGuidedAdam(manifest, gamma=0.1, strategy="last_layers")
    assert np.array_equal(last.begin_phase().indices, np.r_[140:150])
    assert last.required_gradients() == [False, False, True]
    assert set(ams.selection_strategy_names()) >= {"gradient_guided", "random", "full"}


def test_recommended_multipliers_are_arguments_of_the_optimiser():
    usual = ams.recommended_multipliers(strategy="gradient_guided")
    assert usual == dict.fromkeys(
        ("weight_multiplier", "normalization_multiplier", "head_multiplier"), 16
    )
    assert set(ams.recommended_multipliers(strategy="full", gamma=0.1).values()) == {1}
    ams.GradientGuidedAdam(10, gamma=0.05, **usual)
    ams.FixedPolicy(**usual)
    with pytest.raises(ams.InvalidArgumentError, match="gamma"):
        ams.recommended_multipliers(strategy="random", gamma=0)
    with pytest.raises(ams.InvalidArgumentError, match="best.*gradient_guided"):
        ams.recommended_multipliers(strategy="best")


def test_bad_steps_change_nothing():
    adam = ams.GradientGuidedAdam(10)
    weights, gradients = np.ones(10, np.float32), np.ones(10, np.float32)
    with pytest.raises(ams.InvalidArgumentError, match="begin_phase"):
        adam.step(weights, gradients)
    adam.begin_phase()
    frozen = weights.copy()
    frozen.flags.writeable = False
    for w, g in (
        (weights, np.full(10, np.nan, np.float32)),
        (weights, np.full(10, 2e18, np.float32)),
        (weights, np.ones(9, np.float32)),
        (np.ones(10), gradients),
        (frozen, gradients),
    ):
        with pytest.raises(ams.InvalidArgumentError):
            adam.step(w, g)
    assert (weights == 1).all() and adam.state()["step_count"] == 0


def test_choosing_by_magnitude_and_at_random():
    rng = np.random.default_rng(8)
    update = rng.standard_normal(1000).astype(np.float32)
    update[10] = update[20] = 9.0
    for count in (0, 1, 2, 37, 1000):
        expected = np.sort(np.argsort(-np.abs(update), kind="stable")[:count])
        assert np.array_equal(ams.largest_by_magnitude(update, count).indices, expected)
    with pytest.raises(ams.InvalidArgumentError):
        ams.largest_by_magnitude(update, 1001)
    a = ams.random_coordinates(1000, 100, seed=4)
    assert a == ams.random_coordinates(1000, 100, seed=4)
    assert a != ams.random_coordinates(1000, 100, seed=5)
    assert len(a) == 100
    assert [ams.fraction_count(0.05, n) for n in (1, 10, 30, 1000)] == [1, 1, 2, 50]


GROUPS = ams.Manifest(
    [
        ("conv", (80,)),
        ("norm", (8,), "parameter", "normalization"),
        ("norm.mean", (4,), "statistic"),
        ("head", (12,), "parameter", "head"),
    ]
)


@pytest.mark.parametrize(
    ("strategy", "fixed", "guided", "required"),
    [
        ("normalization", range(80, 88), 0, [False, True, False, False]),
        (
            "normalization_and_head",
            [*range(80, 88), *range(92, 104)],
            0,
            [False, True, False, True],
        ),
        ("normalization+gradient_guided", range(80, 88), 10, [True, True, False, True]),
        (
            "normalization_and_head+gradient_guided",
            [*range(80, 88), *range(92, 104)],
            10,
            [True, True, False, True],
        ),
    ],
)
def test_strategies_by_group(strategy, fixed, guided, required):
    assert strategy in ams.selection_strategy_names()
    adam = ams.GradientGuidedAdam(GROUPS, strategy=strategy, gamma=0.1)
    assert adam.required_gradients() == required
    weights = np.zeros(104, np.float32)
    gradients = np.linspace(1, 2, 104, dtype=np.float32)
    for _ in range(3):
        chosen = adam.begin_phase().indices
        assert np.isin(list(fixed), chosen).all()
        assert len(chosen) == len(fixed) + guided
        assert not np.isin(range(88, 92), chosen).any()
        adam.step(weights, gradients)
    with pytest.raises(ams.InvalidArgumentError, match="normalisation layers"):
        ams.GradientGuidedAdam(10, strategy=strategy)


@pytest.mark.parametrize("strategy", ["normalization+gradient_guided", "gradient_guided"])
def test_a_fraction_is_chosen_anew_in_every_phase(strategy):
    rng = np.random.default_rng(1)
    adam = ams.GradientGuidedAdam(GROUPS, strategy=strategy, gamma=0.1)
    weights = np.zeros(104, np.float32)
    phases = []
    for _ in range(5):
        phases.append(list(adam.begin_phase().indices))
        for _ in range(3):
            adam.step(weights, rng.standard_normal(104).astype(np.float32))
    assert all(phase != before for before, phase in zip(phases, phases[1:], strict=False))
    other = ams.GradientGuidedAdam(GROUPS, strategy=strategy, gamma=0.1)
    other.restore(adam.state())
    assert list(other.begin_phase().indices) == list(adam.begin_phase().indices)


def test_each_role_has_its_rate():
    multipliers = {"weight_multiplier": 0.5, "normalization_multiplier": 3, "head_multiplier": 1}
    assert ams.learning_rate_ranges(GROUPS) == []
    ranges = ams.learning_rate_ranges(GROUPS, **multipliers)
    assert ranges == [(0, 80, 0.5), (80, 88, 3.0), (88, 92, 0.5)]
    ours = ams.GradientGuidedAdam(GROUPS, strategy="full", learning_rate=0.01, **multipliers)
    rates = np.full(104, 0.01)
    for begin, end, multiplier in ranges:
        rates[begin:end] *= multiplier
    plain = PlainAdam(104, 1.0, rates, 0.9, 0.999, 1e-8, False)
    weights, theirs = np.zeros(104, np.float32), np.zeros(104)
    chosen = ours.begin_phase().indices
    rng = np.random.default_rng(3)
    for _ in range(10):
        gradients = rng.standard_normal(104).astype(np.float32)
        gradients[88:92] = 0
        ours.step(weights, gradients)
        plain.step(theirs, gradients.astype(np.float64), chosen)
    assert np.allclose(weights, theirs, rtol=1e-4, atol=1e-6)
    for name in multipliers:
        for wrong in (0, -1, 1e7, float("nan")):
            with pytest.raises(ams.InvalidArgumentError, match=name.split("_")[0]):
                ams.GradientGuidedAdam(GROUPS, **{name: wrong})
            with pytest.raises(ams.InvalidArgumentError, match=name.split("_")[0]):
                ams.learning_rate_ranges(GROUPS, **{name: wrong})
