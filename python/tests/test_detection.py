"""Sets of boxes, their loss, average precision, maps and the task; without torch."""

import contextlib
import io

import numpy as np
import pytest

import ams
from ams import detection, synthetic


def random_boxes(random, most, classes=2, cells=20):
    count = random.integers(most + 1)
    low = random.integers(0, cells, (count, 2))
    size = 1 + random.integers(0, cells - low)
    edges = np.concatenate([low, low + size], 1) / cells
    rest = np.stack([random.integers(0, classes, count), random.integers(0, 50, count) / 49], 1)
    return np.concatenate([edges, rest], 1).astype(np.float32)


def pictures(seed, count, classes=3):
    """(prediction, truth) pairs: some boxes are nearly right."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        truth = random_boxes(random, 8, classes)
        truth[:, 5] = 1
        near = truth[random.random(len(truth)) < 0.7].copy()
        near[:, 2] = np.minimum(1, near[:, 2] + 0.03 * random.integers(0, 4, len(near)))
        near[:, 5] = random.integers(0, 50, len(near)) / 49
        yield np.concatenate([near, random_boxes(random, 5, classes)]), truth


def coco_precision(pairs, classes):
    """AP50 and AP50-95 by pycocotools, boxes in pixels of a large picture."""
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def entry(number, image, box):
        x0, y0, x1, y1 = (box[:4].astype(np.float64) * 1000).tolist()
        size = [x0, y0, x1 - x0, y1 - y0]
        return {
            "id": number,
            "image_id": image,
            "category_id": int(box[4]),
            "bbox": size,
            "area": size[2] * size[3],
            "score": float(box[5]),
            "iscrowd": 0,
        }

    def entries(part):
        boxes = [(k, box) for k, pair in enumerate(pairs) for box in pair[part]]
        return [entry(number, image, box) for number, (image, box) in enumerate(boxes, start=1)]

    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_module.COCO()
        truth.dataset = {
            "images": [{"id": k} for k in range(len(pairs))],
            "categories": [{"id": c} for c in range(classes)],
            "annotations": entries(1),
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(entries(0)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[1], evaluation.stats[0]


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed):
    pairs = list(pictures(seed, 25))
    precision = detection.AveragePrecision(3)
    for prediction, truth in pairs:
        precision.add(prediction, truth)
    expected50, expected = coco_precision(pairs, 3)
    assert precision.summary().ap50 == pytest.approx(expected50, abs=1e-9)
    assert precision.summary().ap50_95 == pytest.approx(expected, abs=1e-9)
    assert 0.1 < expected < expected50 < 0.95
    assert len(precision) == 25


def test_many_boxes_of_a_picture_are_cut_as_pycocotools_cuts_them():
    random = np.random.default_rng(1)
    truth = random_boxes(random, 40, 1)
    truth[:, 5] = 1
    wrong = random_boxes(random, 400, 1, cells=50)
    pairs = [(np.concatenate([truth, wrong]), truth)]
    pairs[0][0][: len(truth), 5] = 0.2
    precision = detection.AveragePrecision(1)
    precision.add(*pairs[0])
    expected50, expected = coco_precision(pairs, 1)
    assert precision.summary().ap50 == pytest.approx(expected50, abs=1e-9)
    assert precision.summary().ap50_95 == pytest.approx(expected, abs=1e-9)


def test_precision_of_a_video_and_what_it_refuses():
    none = detection.no_boxes()
    one = np.array([[0, 0, 0.5, 1, 1, 1]], np.float32)
    sliding = detection.SlidingPrecision(2, window_seconds=5)
    assert sliding.add(none, none, 0).ap50 is None
    assert sliding.add(one, one, 1).ap50 == pytest.approx(1)
    assert sliding.add(none, one, 10).ap50 == 0
    assert sliding.summary().ap50 == pytest.approx(0.5)
    with pytest.raises(ams.InvalidArgumentError, match="do not go back"):
        sliding.add(one, one, 9)
    precision = detection.AveragePrecision(1)
    for boxes, message in (
        (one, "class 1; allowed are 0 to 0"),
        (np.array([[0, 0, 1, 1, 0, np.nan]], np.float32), "score nan"),
        (np.array([[0, 0, 1, 1, 0.5, 1]], np.float32), "whole numbers"),
        (np.array([[0, 0, 1, 1, np.nan, 1]], np.float32), "whole numbers"),
        (np.zeros((1, 5), np.float32), r"\[n, 6\]"),
        (np.zeros((1, 6)), "float32"),
    ):
        with pytest.raises(ams.InvalidArgumentError, match=message):
            precision.add(boxes, none)
    assert len(precision) == 0


def test_boxes_of_other_detectors():
    boxes = detection.boxes_from_pixels(
        [[10, 20, 60, 80], [-5, 0, 300, 50], [200, 10, 250, 20], [0, 0, np.nan, 5]],
        [0, 1, 0, 0],
        [0.5, 0.25, 1, 1],
        width=200,
        height=100,
    )
    expected = [[0.05, 0.2, 0.3, 0.8, 0, 0.5], [0, 0, 1, 0.5, 1, 0.25]]
    assert boxes.dtype == np.float32 and np.allclose(boxes, expected)
    detection.check_boxes(boxes, 2)
    assert detection.boxes_from_pixels([], [], width=5, height=5).shape == (0, 6)
    with pytest.raises(ValueError, match="1 boxes, 2 classes"):
        detection.boxes_from_pixels([[0, 0, 1, 1]], [0, 1], width=5, height=5)


def test_the_task():
    task = detection.DetectionTask(["person", "car"], input_size=(48, 96))
    frame = np.full((96, 192, 3), 100, np.uint8)
    boxes = np.array([[0.25, 0.25, 0.75, 0.75, 1, 1]], np.float32)
    small, kept = task.sample(frame, boxes)
    assert small.shape == (48, 96, 3) and np.array_equal(kept, boxes)
    assert task.name == "detection" and task.size_bytes((small, kept)) == 48 * 96 * 3 + 24
    assert np.array_equal(task.unpack_label(task.pack_label(boxes)), boxes)
    with pytest.raises(ams.MalformedDataError):
        task.unpack_label(b"abc")
    nothing = task.sample(frame, [])
    assert nothing[1].shape == (0, 6)
    assert task.phi(nothing, nothing) == 0
    assert task.phi((small, kept), nothing) == pytest.approx(-np.log(0.01))
    assert detection.box_disagreement(boxes, boxes) == pytest.approx(0)
    unsure = boxes.copy()
    unsure[0, 5] = 0.1
    assert task.difference(boxes, np.concatenate([boxes, unsure])) == pytest.approx(0)
    drawn = task.draw(frame, boxes)
    assert drawn.shape == frame.shape and (drawn != frame).any(axis=2).sum() == 2 * (96 + 46)
    assert np.array_equal(task.draw(frame, unsure), frame)
    score = task.score()
    assert score.add(boxes, boxes, 0) == pytest.approx(1)
    assert [name for name, _ in score.summary()] == ["ap50", "ap50_95"]
    with pytest.raises(ams.InvalidArgumentError, match="class 1"):
        detection.DetectionTask(["car"]).check_label(boxes)
    for arguments in ({"classes": []}, {"classes": "car"}, {"classes": ["car"], "min_score": 2}):
        with pytest.raises(ams.InvalidArgumentError):
            detection.DetectionTask(**arguments)


def test_maps_say_boxes():
    maps = np.full((6, 4, 8), -9, np.float32)
    maps[2:] = 0
    maps[1, 2, 3] = 3
    maps[4, 2, 3] = np.log(2)
    (box,) = detection.decode_centre_maps(maps)
    assert np.allclose(box, [2 / 8, 1.5 / 4, 4 / 8, 2.5 / 4, 1, 1 / (1 + np.exp(-3))])
    assert len(detection.decode_centre_maps(maps, min_score=0.99)) == 0
    with pytest.raises(ams.InvalidArgumentError, match="classes"):
        detection.decode_centre_maps(maps[:4])
    with pytest.raises(ams.InvalidArgumentError, match="float32"):
        detection.decode_centre_maps(maps.astype(np.float64))


def test_a_street_knows_its_boxes():
    street = synthetic.Street(seed=3, width=192, height=96, fps=2, seconds=30)
    names = synthetic.street_object_names()
    assert names == ["person", "car"]
    seen = 0
    for index in range(0, len(street), 15):
        frame, labels = street.render(index)
        same, boxes = street.render_boxes(index)
        assert np.array_equal(frame, same)
        detection.check_boxes(boxes, 2)
        covered = np.zeros(labels.shape, bool)
        for box in boxes:
            left, top, right, bottom = (box[:4] * [192, 96, 192, 96]).round().astype(int)
            inside = labels[top:bottom, left:right] == (11, 13)[int(box[4])]
            assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            covered[top:bottom, left:right] = True
        assert covered[(labels == 11) | (labels == 13)].all()
        seen += len(boxes)
        assert len(street.render_boxes(index, min_pixels=40)[1]) < len(boxes)
    assert seen > 10
