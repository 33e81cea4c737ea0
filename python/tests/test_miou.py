"""mIoU against numpy."""

import numpy as np
import pytest

import ams


def reference_counts(prediction, truth, classes):
    n = len(classes)
    counts = np.zeros((n, n + 1), dtype=np.uint64)
    for i, true in enumerate(classes):
        here = prediction[truth == true]
        for j, predicted in enumerate(classes):
            counts[i, j] = (here == predicted).sum()
        counts[i, n] = (~np.isin(here, classes)).sum()
    return counts


def reference_iou(counts):
    values = []
    for i in range(len(counts)):
        union = counts[i].sum() + counts[:, i].sum() - counts[i, i]
        values.append(None if union == 0 else counts[i, i] / union)
    return values


def mean(values):
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def random_frames(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        truth = rng.choice([0, 2, 8, 11, 255], size=(6, 5), p=[0.4, 0.3, 0.1, 0.1, 0.1])
        wrong = rng.random((6, 5)) < 0.3
        prediction = np.where(wrong, rng.choice([0, 2, 8, 9, 255], size=(6, 5)), truth)
        yield prediction.astype(np.uint8), truth.astype(np.uint8)


def test_confusion_follows_numpy():
    classes = [8, 0, 2]
    confusion = ams.ConfusionMatrix(classes)
    total = np.zeros((3, 4), dtype=np.uint64)
    for prediction, truth in random_frames(1, 20):
        confusion.add(prediction, truth)
        total += reference_counts(prediction, truth, classes)
        assert np.array_equal(confusion.counts, total)
    assert confusion.classes == classes
    assert confusion.pixels == total.sum()
    assert confusion.iou() == pytest.approx(reference_iou(total))
    assert confusion.mean_iou() == pytest.approx(mean(reference_iou(total)))
    other = ams.ConfusionMatrix(classes)
    other += confusion
    assert other == confusion
    other -= confusion
    assert other.pixels == 0 and other.mean_iou() is None
    with pytest.raises(ams.InvalidArgumentError):
        other -= confusion
    with pytest.raises(ams.InvalidArgumentError):
        confusion.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    assert np.array_equal(confusion.counts, total)


def test_sliding_miou_follows_numpy():
    classes = [0, 2, 8]
    miou = ams.SlidingMiou(classes, window_seconds=2, start_up_seconds=1)
    frames = [
        (k * 0.3, reference_counts(p, t, classes)) for k, (p, t) in enumerate(random_frames(2, 30))
    ]
    sliding, per_frame = [], []
    for (seconds, counts), (prediction, truth) in zip(frames, random_frames(2, 30), strict=True):
        window = sum(c for s, c in frames if seconds - 2 < s <= seconds)
        expected = mean(reference_iou(window))
        assert miou.add(prediction, truth, seconds) == pytest.approx(expected)
        assert miou.current == pytest.approx(expected)
        assert np.array_equal(miou.window.counts, window)
        if seconds >= 1:
            sliding.append(expected)
            per_frame.append(mean(reference_iou(counts)))
    summary = miou.summary()
    whole = sum(c for s, c in frames if s >= 1)
    assert summary.sliding == pytest.approx(np.mean(sliding))
    assert summary.per_frame == pytest.approx(np.mean(per_frame))
    assert summary.whole_video == pytest.approx(mean(reference_iou(whole)))
    assert summary.frames == len(sliding)
    with pytest.raises(ams.InvalidArgumentError):
        miou.add(prediction, truth, 0)


def test_nothing_that_counts():
    miou = ams.SlidingMiou(2)
    unknown = np.full((2, 2), 255, np.uint8)
    assert miou.add(unknown, unknown, 0) is None
    summary = miou.summary()
    assert (summary.sliding, summary.per_frame, summary.whole_video) == (None, None, None)
    with pytest.raises(ams.InvalidArgumentError):
        ams.SlidingMiou(2, window_seconds=0)
