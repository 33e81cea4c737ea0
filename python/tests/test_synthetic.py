import numpy as np
import pytest

import ams
from ams.synthetic import Street, street_class_names, street_eval_classes, street_label_ids


def test_frames_with_exact_labels():
    street = Street(seed=4, width=96, height=48, fps=10, seconds=3)
    assert len(street) == 30
    assert (street.width, street.height, street.fps) == (96, 48, 10)
    frame, labels = street.render(7)
    assert frame.shape == (48, 96, 3) and frame.dtype == np.uint8
    assert labels.shape == (48, 96) and labels.dtype == np.uint8
    assert set(np.unique(labels)) <= set(street_label_ids())
    assert len(street_class_names()) == 19
    assert set(street_eval_classes()) <= set(street_label_ids())
    again = Street(seed=4, width=96, height=48, fps=10, seconds=3).render(7)
    assert np.array_equal(frame, again[0]) and np.array_equal(labels, again[1])
    other, _ = Street(seed=5, width=96, height=48, fps=10, seconds=3).render(7)
    assert not np.array_equal(frame, other)
    with pytest.raises(ams.InvalidArgumentError):
        street.render(30)


def test_schedules():
    day, _ = Street(width=64, height=32, schedule="0:residential/clear").render(0)
    night, _ = Street(width=64, height=32, schedule="0:residential/night").render(0)
    assert night.mean() < day.mean() - 20
    with pytest.raises(ams.InvalidArgumentError, match="downtown"):
        Street(schedule="0:seaside/clear")


@pytest.mark.parametrize("arguments", [{"width": 8}, {"fps": 0}, {"seconds": -1}, {"seed": "x"}])
def test_refuses_options_out_of_range(arguments):
    with pytest.raises(ams.InvalidArgumentError):
        Street(**arguments)
