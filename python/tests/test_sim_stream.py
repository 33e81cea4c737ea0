import json
import shutil

import numpy as np
import pytest
from sim_support import clip

from ams import sim, video
from ams.sim.resize import resize_nearest


def test_a_stream_of_two_clips_has_one_timeline_and_one_size():
    first = clip("first", seconds=3, fps=4, label_stride=2)
    second = clip("second", seconds=2, fps=10, label_stride=5, size=(96, 64), seed=9)
    stream = sim.Stream([first, second])
    frames = list(stream.frames())
    assert len(frames) == 12 + 20 and stream.duration_seconds == 5
    times = [frame.capture_seconds for frame in frames]
    assert times == pytest.approx([i / 4 for i in range(12)] + [3 + i / 10 for i in range(20)])
    assert list(stream.times()) == times
    labelled = [i for i, frame in enumerate(frames) if frame.labels is not None]
    assert labelled == [0, 2, 4, 6, 8, 10, 12, 17, 22, 27]
    assert {frame.image.shape for frame in frames} == {(512, 1024, 3)}
    assert stream.scenes == [(0.0, "first"), (3.0, "second")]
    assert stream.name == "first+second"
    assert stream.classes == tuple(sorted(video.Clip(first).info.eval_classes))


def test_labels_are_those_nearest_in_time_of_the_same_clip():
    first = clip("first", seconds=3, fps=4, label_stride=2)
    second = clip("other", seconds=3, fps=4, label_stride=2, seed=9)
    stream = sim.Stream([first, second])
    tracks = [video.LabelTrackReader(video.Clip(folder).labels_path) for folder in (first, second)]
    for seconds, track, index in [
        (0.0, 0, 0),
        (0.24, 0, 0),
        (0.26, 0, 1),
        (2.5, 0, 5),
        (2.99, 0, 5),
        (3.0, 1, 0),
        (5.9, 1, 5),
    ]:
        assert np.array_equal(stream.labels_at(seconds), tracks[track][index]), seconds
    with pytest.raises(ValueError, match="no frame at 6"):
        stream.labels_at(6.0)


def test_max_seconds_ends_a_stream():
    folder = clip("first", seconds=3, fps=4, label_stride=2)
    stream = sim.Stream([folder, folder], max_seconds=4)
    assert stream.duration_seconds == 4
    assert len(list(stream.frames())) == 16
    with pytest.raises(ValueError, match="max_seconds"):
        sim.Stream([folder], max_seconds=0)
    with pytest.raises(ValueError, match="clips"):
        sim.Stream([])


def test_a_single_clip_need_not_be_in_a_list():
    folder = clip("first", seconds=3, fps=4, label_stride=2)
    for one in (folder, str(folder)):
        assert sim.Stream(one).name == "first"


def test_resize_takes_the_pixel_that_holds_the_centre():
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert resize_nearest(labels, 4, 4) is labels
    assert resize_nearest(labels, 2, 2).tolist() == [[5, 7], [13, 15]]
    assert resize_nearest(labels, 8, 4)[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError):
        resize_nearest(labels, 0, 4)


def test_clips_whose_ids_mean_other_classes_are_refused(tmp_path):
    first = clip()
    other = tmp_path / "other"
    shutil.copytree(first, other)
    info = json.loads((other / "clip.json").read_text())
    info["name"] = "other"
    info["classes"][:2] = info["classes"][1::-1]
    (other / "clip.json").write_text(json.dumps(info))
    sim.Stream([other])
    with pytest.raises(ValueError, match="class 0 is 'road' in street and 'sidewalk' in other"):
        sim.Stream([first, other])
