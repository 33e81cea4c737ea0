import pickle

import numpy as np
import pytest

import ams


def test_integers_masks_and_sets_say_the_same():
    indices = [1, 4, 9]
    mask = np.zeros(10, dtype=bool)
    mask[indices] = True
    from_list = ams.CoordinateSet.from_sorted(10, indices)
    for other in (
        np.array(indices),
        np.array(indices, dtype=np.uint32),
        np.array(indices, dtype=np.uint64),
        np.array(indices, dtype=np.int16),
        mask,
        from_list,
    ):
        assert ams.CoordinateSet.from_sorted(10, other) == from_list
    assert len(from_list) == 3
    assert from_list.dimension == 10
    assert from_list.indices.dtype == np.uint32
    assert from_list.indices.tolist() == indices
    assert pickle.loads(pickle.dumps(from_list)) == from_list


def test_all_and_none():
    everything = ams.CoordinateSet.all(4)
    assert everything.is_all and len(everything) == 4
    assert everything.indices.tolist() == [0, 1, 2, 3]
    assert everything == ams.CoordinateSet.from_sorted(4, range(4))
    nothing = ams.CoordinateSet.from_sorted(4, [])
    assert len(nothing) == 0 and nothing.indices.shape == (0,)
    assert (nothing | everything) == everything
    assert pickle.loads(pickle.dumps(everything)) == everything


def test_union_follows_numpy():
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = rng.random(50) < 0.3, rng.random(50) < 0.3
        union = ams.CoordinateSet.from_sorted(50, a) | ams.CoordinateSet.from_sorted(50, b)
        assert np.array_equal(union.indices, np.flatnonzero(a | b))
    with pytest.raises(ams.InvalidArgumentError):
        ams.CoordinateSet.all(3) | ams.CoordinateSet.all(4)


@pytest.mark.parametrize(
    "indices",
    [
        [3, 1],
        [1, 1],
        [-1],
        [10],
        [2**32],
        np.array([2**63], dtype=np.uint64),
        [[1, 2]],
        [1.0],
        ["a"],
        np.zeros(9, dtype=bool),
    ],
)
def test_refuses_what_is_no_set(indices):
    with pytest.raises(ams.InvalidArgumentError):
        ams.CoordinateSet.from_sorted(10, indices)
