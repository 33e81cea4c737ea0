import math

import numpy as np
import pytest

import ams


def random_maps(rng, shape=(9, 7)):
    return tuple(rng.choice([0, 1, 2, 3, 255], size=shape).astype(np.uint8) for _ in range(2))


def test_disagreement_follows_numpy():
    rng = np.random.default_rng(1)
    loss = ams.HardLabelCrossEntropy([0, 2, 3], floor=0.05)
    for _ in range(30):
        a, b = random_maps(rng)
        counts = np.isin(a, [0, 2, 3]) & np.isin(b, [0, 2, 3])
        expected = (a != b)[counts].mean()
        assert ams.label_disagreement(a, b, [0, 2, 3]) == pytest.approx(expected)
        assert loss(a, b) == pytest.approx(-math.log(0.05) * expected)
    assert loss.wrong_pixel_loss == pytest.approx(-math.log(0.05))
    unknown = np.full((2, 2), 9, np.uint8)
    assert ams.label_disagreement(unknown, unknown, 3) is None


@pytest.mark.parametrize(
    ("a", "b", "classes"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2),
        (np.zeros((2, 3), np.int64), np.zeros((2, 3), np.uint8), 2),
        (np.zeros((2, 3, 1), np.uint8), np.zeros((2, 3), np.uint8), 2),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8), []),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8), [1, 1]),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8), [256]),
        (np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.uint8), 0),
    ],
)
def test_refuses_other_arrays_and_classes(a, b, classes):
    with pytest.raises(ams.InvalidArgumentError):
        ams.label_disagreement(a, b, classes)


def test_scores_compare_each_label_with_the_one_before():
    tracker = ams.PhiScoreTracker(lambda prediction, truth: abs(prediction - truth))
    assert tracker.add(3) is None
    assert tracker.add(5) == 2
    assert tracker.add(4) == 1
    assert (tracker.count, tracker.mean()) == (2, 1.5)
    assert tracker.take_mean() == 1.5
    assert (tracker.count, tracker.mean()) == (0, None)
    assert tracker.add(4) == 0
    tracker.forget_label()
    assert tracker.add(9) is None
    assert tracker.count == 1
    tracker.reset()
    assert tracker.take_mean() is None


def test_what_the_loss_raises_comes_out_and_nothing_changes():
    def loss(prediction, truth):
        if prediction == "bad":
            raise KeyError("no such label")
        return {"nan": math.nan, "none": None, "text": "text"}.get(prediction, 1.0)

    tracker = ams.PhiScoreTracker(loss)
    tracker.add("first")
    with pytest.raises(KeyError, match="no such label"):
        tracker.add("bad")
    for label in ("nan", "text"):
        with pytest.raises(ams.InvalidArgumentError):
            tracker.add(label)
    assert tracker.count == 0
    assert tracker.add("none") is None
    assert tracker.add("good") == 1
    with pytest.raises(ams.InvalidArgumentError, match="callable"):
        ams.PhiScoreTracker(3)
