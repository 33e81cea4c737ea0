"""encode_update, apply_update and snapshots against numpy, with good bytes and bad ones."""

import copy
import pickle
import threading

import numpy as np
import pytest

import ams


def make_state(dimension=1000, seed=0, **arguments):
    rng = np.random.default_rng(seed)
    manifest = ams.Manifest([("a", (dimension - 7,)), ("b", (7,), "statistic")])
    return ams.ModelState(manifest, rng.standard_normal(dimension).astype(np.float32), **arguments)


@pytest.mark.parametrize("count", [0, 1, 50, 999, 1000])
def test_both_ends_hold_the_same_and_numpy_agrees(count):
    rng = np.random.default_rng(count)
    server = make_state()
    device = server.copy()
    before = server.values.copy()
    trained = (before + rng.standard_normal(1000)).astype(np.float32)
    chosen = np.sort(rng.choice(1000, count, replace=False))
    expected = before.copy()
    expected[chosen] = trained[chosen].astype(np.float16).astype(np.float32)

    data = ams.encode_update(server, trained, chosen)
    assert isinstance(data, bytes)
    assert np.array_equal(server.values, expected)
    info = ams.apply_update(data, device)
    assert np.array_equal(device.values, expected)
    assert device.version == server.version == info.next
    assert device.version.number == 1
    assert info.coordinates == count
    assert info.profile == "reference"
    assert info.manifest_digest == server.manifest.digest
    header = ams.inspect_update(bytearray(data))
    assert (header.base, header.next) == (info.base, info.next)


def test_coordinates_may_be_a_mask_or_a_set():
    trained = np.ones(1000, dtype=np.float32)
    mask = np.zeros(1000, dtype=bool)
    mask[[3, 500]] = True
    updates = {
        ams.encode_update(make_state(), trained, coordinates)
        for coordinates in (mask, [3, 500], ams.CoordinateSet.from_sorted(1000, [3, 500]))
    }
    assert len(updates) == 1


def test_values_are_a_read_only_view():
    state = make_state()
    view = state.values
    assert view.dtype == np.float32 and view.flags.c_contiguous
    assert np.shares_memory(view, state.values)
    with pytest.raises(ValueError):
        view[0] = 1
    manifest = state.manifest
    del state
    assert view.shape == (manifest.dimension,)


def test_copies_are_independent():
    state = make_state()
    twins = [
        state.copy(),
        copy.copy(state),
        copy.deepcopy(state),
        pickle.loads(pickle.dumps(state)),
    ]
    ams.encode_update(state, np.zeros(1000, dtype=np.float32), [1])
    for twin in twins:
        assert twin.version.number == 0
        assert twin.values[1] != 0
        assert twin.manifest == state.manifest


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.frombuffer])
def test_any_bytes_like_object_will_do(kind):
    state, device = make_state(), make_state()
    data = ams.encode_update(state, np.zeros(1000, dtype=np.float32), [1, 2])
    data = np.frombuffer(data, dtype=np.uint8) if kind is np.frombuffer else kind(data)
    ams.apply_update(data, device)
    assert device.version == state.version


def test_wrong_arrays_are_refused_by_name():
    state = make_state()
    version = state.version
    for trained, message in (
        (np.zeros(1000), "trained is float64 .1000."),
        (np.zeros((1000, 1), dtype=np.float32), "1 dimension"),
        (np.zeros(2000, dtype=np.float32)[::2], "not C-contiguous"),
        (np.zeros(999, dtype=np.float32), "999|1000"),
        ([0.0] * 1000, "float32"),
    ):
        with pytest.raises(ams.InvalidArgumentError, match=message):
            ams.encode_update(state, trained, [1])
    good = np.zeros(1000, dtype=np.float32)
    good[5] = np.nan
    with pytest.raises(ams.InvalidArgumentError, match="a"):
        ams.encode_update(state, good, [5])
    with pytest.raises(ams.InvalidArgumentError, match="'reference'"):
        ams.encode_update(state, good, [1], profile="tiny")
    with pytest.raises(ams.InvalidArgumentError, match="19"):
        ams.encode_update(state, good, [1], zstd_level=77)
    with pytest.raises(ams.InvalidArgumentError, match="finite|nan"):
        ams.ModelState(state.manifest, good)
    with pytest.raises(TypeError, match="bytes-like"):
        ams.apply_update("text", state)
    assert state.version == version


def test_bad_updates_change_nothing():
    server, device = make_state(), make_state()
    data = ams.encode_update(server, np.zeros(1000, dtype=np.float32), range(0, 1000, 9))
    version, values = device.version, device.values.copy()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        if bytes(damaged) == data:
            continue
        with pytest.raises(ams.Error):
            ams.apply_update(damaged, device)
        refused += 1
    for length in range(len(data)):
        with pytest.raises(ams.Error):
            ams.apply_update(data[:length], device)
    assert refused > 250
    assert device.version == version
    assert np.array_equal(device.values, values)


def test_each_error_has_its_class():
    server = make_state()
    data = ams.encode_update(server, np.zeros(1000, dtype=np.float32), [1])
    with pytest.raises(ams.MalformedDataError):
        ams.apply_update(b"no update at all", make_state())
    with pytest.raises(ams.BaseVersionMismatchError):
        ams.apply_update(data, make_state(seed=1))
    with pytest.raises(ams.ManifestMismatchError):
        ams.apply_update(data, make_state(dimension=1001))
    with pytest.raises(ams.LimitExceededError):
        last = make_state(version_number=2**32 - 1)
        ams.encode_update(last, np.zeros(1000, dtype=np.float32), [1])


def test_snapshots_are_exact():
    state = make_state(version_number=41)
    data = ams.encode_snapshot(state)
    back = ams.decode_snapshot(data, state.manifest)
    assert back.version == state.version
    assert np.array_equal(back.values, state.values)
    assert len(ams.encode_snapshot(state, zstd_level=19)) <= len(data) * 1.02
    with pytest.raises(ams.ManifestMismatchError):
        ams.decode_snapshot(data, ams.Manifest([("other", (3,))]))
    with pytest.raises(ams.Error):
        ams.decode_snapshot(data[:-1], state.manifest)


def test_threads_may_work_on_states_of_their_own():
    results = {}

    def stream(seed):
        rng = np.random.default_rng(seed)
        server = make_state(dimension=20000, seed=seed)
        device = server.copy()
        for _ in range(20):
            trained = rng.standard_normal(20000).astype(np.float32)
            update = ams.encode_update(server, trained, rng.random(20000) < 0.05)
            ams.apply_update(update, device)
        results[seed] = device.version == server.version

    threads = [threading.Thread(target=stream, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(4), True)


ROLES = ("weight", "normalization", "head")
GROUPS = ams.Manifest(
    [
        *[(role, (300,), "parameter", role) for role in ROLES],
        ("mean", (20,), "statistic"),
    ]
)


def grouped_state():
    values = np.random.default_rng(4).standard_normal(GROUPS.dimension).astype(np.float32)
    return ams.ModelState(GROUPS, values)


def moved(state, seed):
    steps = np.random.default_rng(seed).standard_normal(GROUPS.dimension)
    return (state.values + 0.01 * steps).astype(np.float32)


def test_compact_keeps_both_ends_equal_over_many_updates():
    server = grouped_state()
    device, resumed = server.copy(), None
    everything = np.ones(GROUPS.dimension, dtype=bool)
    for seed in range(12):
        data = ams.encode_update(server, moved(server, seed), everything, profile="compact")
        info = ams.apply_update(data, device)
        assert (info.profile, info.next) == ("compact", server.version)
        header = ams.inspect_update(data)
        assert header.profile == "compact"
        assert (header.base.number, header.next.number) == (seed, seed + 1)
        assert (header.manifest_digest, header.next.digest, header.coordinates) == (0, 0, 0)
        assert np.array_equal(device.values, server.values)
        if seed == 5:  # what the codec has learned is part of the state
            resumed = [
                device.copy(),
                pickle.loads(pickle.dumps(device)),
                ams.decode_snapshot(ams.encode_snapshot(device), GROUPS),
            ]
        elif resumed:
            for twin in resumed:
                ams.apply_update(data, twin)
                assert twin.version == server.version
        assert 0 < info.coordinates < GROUPS.dimension
    mixed = ams.encode_update(server, moved(server, 99), everything)
    assert ams.apply_update(mixed, device).profile == "reference"
    assert device.version == server.version


@pytest.mark.parametrize("relative_step", [0.25, 1, 4])
def test_compact_is_as_exact_as_its_step(relative_step):
    state = grouped_state()
    before, trained = state.values.copy(), moved(state, 1)
    chosen = range(300)
    ams.encode_update(state, trained, chosen, profile="compact", relative_step=relative_step)
    difference = trained[:300].astype(float) - before[:300]
    step = 2.0 ** round(np.log2(relative_step * np.sqrt((difference**2).mean())))
    assert np.abs(state.values[:300] - trained[:300]).max() <= step / 2 + 1e-6
    counts = (state.values[:300].astype(float) - before[:300]) / step
    assert np.allclose(counts, np.round(counts), atol=1e-3) and counts.any()
    assert np.array_equal(state.values[300:], before[300:])


def test_weights_may_be_written_more_coarsely():
    everything = ams.CoordinateSet.all(GROUPS.dimension)

    def errors(**options):
        state = grouped_state()
        trained = moved(state, 3)
        ams.encode_update(state, trained, everything, profile="compact", **options)
        error = np.abs(state.values - trained)
        return [error[t.offset : t.offset + t.size].max() for t in GROUPS.tensors]

    usual, coarse = errors(), errors(weight_step_multiplier=8)
    assert coarse[0] > 3 * usual[0]
    assert coarse[1:] == usual[1:]


def test_the_step_may_be_set():
    state = grouped_state()
    before, trained = state.values.copy(), moved(state, 2)
    everything = ams.CoordinateSet.all(GROUPS.dimension)
    data = ams.encode_update(state, trained, everything, profile="compact", step_exponent=-9)
    assert np.abs(state.values - trained).max() <= 2.0**-9 / 2 + 1e-6
    counts = (state.values.astype(float) - before) * 2.0**9
    assert np.allclose(counts, np.round(counts), atol=1e-3)
    again = ams.encode_update(
        grouped_state(), trained, everything, profile="compact", step_exponent=-5
    )
    assert len(again) < len(data)


def test_bad_compact_updates_change_nothing():
    server, device = grouped_state(), grouped_state()
    for seed in range(3):
        everything = ams.CoordinateSet.all(GROUPS.dimension)
        data = ams.encode_update(server, moved(server, seed), everything, profile="compact")
        version, values = device.version, device.values.copy()
        rng = np.random.default_rng(seed)
        for _ in range(100):
            damaged = bytearray(data)
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
            with pytest.raises(ams.Error):
                ams.apply_update(damaged, device)
        for length in range(len(data)):
            with pytest.raises(ams.Error):
                ams.apply_update(data[:length], device)
        assert device.version == version and np.array_equal(device.values, values)
        ams.apply_update(data, device)
    with pytest.raises(ams.BaseVersionMismatchError):
        ams.apply_update(data, grouped_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "Compact"}, "'reference', 'compact'"),
        ({"relative_step": 0}, "relative_step"),
        ({"relative_step": float("nan")}, "relative_step"),
        ({"weight_step_multiplier": 0}, "weight_step_multiplier"),
        ({"step_exponent": 1.5}, "step_exponent"),
        ({"step_exponent": 999}, "step_exponent is 999"),
    ],
)
def test_refuses_options_of_compact(options, message):
    state = grouped_state()
    version = state.version
    with pytest.raises(ams.InvalidArgumentError, match=message):
        ams.encode_update(state, moved(state, 0), [1], **{"profile": "compact", **options})
    assert state.version == version
    assert set(ams.update_profile_names()) == {"reference", "compact"}
