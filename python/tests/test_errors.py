"""Every error of the C++ library is a documented Python exception."""

import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import ams

LAYERS = ams.build_info()["layers"]
HEADER = Path(__file__).parents[2] / "include/ams/core/error.hpp"


def test_one_subclass_for_each_error_code():
    body = re.search(r"enum class ErrorCode \{(.*?)\};", HEADER.read_text(), re.DOTALL)
    codes = re.findall(r"^\s*(\w+),", body[1], re.MULTILINE)
    classes = {cls.code: cls for cls in ams.Error.__subclasses__()}
    assert sorted(codes) == sorted(classes)
    for cls in classes.values():
        assert getattr(ams, cls.__name__) is cls
        assert cls.__doc__
        assert issubclass(cls, RuntimeError)


def test_they_are_also_what_python_programs_expect():
    assert issubclass(ams.InvalidArgumentError, ValueError)
    assert issubclass(ams.IoError, OSError)


def test_the_code_tells_what_went_wrong():
    with pytest.raises(ams.MalformedDataError) as raised:
        ams.inspect_update(b"")
    assert raised.value.code == "malformed_data"
    with pytest.raises(ams.InvalidArgumentError) as raised:
        ams.fraction_count(2, 10)
    assert raised.value.code == "invalid_argument"


NOT_UTF8 = os.fsdecode(b"caf\xe9")


def test_the_text_of_an_error_can_always_be_printed():
    for error in (ams.IoError(f"no file '{NOT_UTF8}'"), ams.Error("\ud800", 3), ams.Error()):
        str(error).encode()
        assert pickle.loads(pickle.dumps(error)).args == error.args
    assert str(ams.IoError(f"no file '{NOT_UTF8}'")) == r"no file 'caf\xe9'"
    assert str(ams.IoError("Straße")) == "Straße"


def test_text_that_is_no_text_is_an_argument_out_of_range():
    with pytest.raises(ams.InvalidArgumentError, match="device_id"):
        ams.ClientOptions(device_id=NOT_UTF8)
    with pytest.raises(ams.InvalidArgumentError, match=r"device_id"):
        ams.ClientOptions(device_id="camera \u202e7")
    with pytest.raises(ams.InvalidArgumentError, match="token"):
        ams.ClientOptions(token="line\nline")
    with pytest.raises(TypeError, match=r"caf\\udce9"):
        ams.ClientOptions(**{NOT_UTF8: 1})


@pytest.mark.skipif(not LAYERS["video"], reason="built without the video layer")
def test_videos_of_any_name_open_and_errors_name_those_that_do_not(tmp_path):
    from ams import video

    missing = tmp_path / NOT_UTF8
    for path in (missing, str(missing), os.fsencode(missing)):
        for opened in (video.VideoReader, video.LabelTrackReader, video.Clip):
            with pytest.raises(ams.IoError, match=r"caf\\xe9"):
                opened(path)
    if not LAYERS["x264"]:
        return
    info = video.ClipInfo(fps=10, label_stride=1, classes=["a"], eval_classes=[0])
    frame = np.zeros((32, 32, 3), np.uint8)
    with video.ClipWriter(missing, info) as writer:
        writer.add(frame, np.zeros((32, 32), np.uint8))
    clip = video.Clip(missing)
    clip.info.name.encode()
    assert Path(clip.video_path).parent == missing
    assert len(list(video.VideoReader(clip.video_path))) == 1
    assert len(video.LabelTrackReader(os.fsencode(clip.labels_path))) == 1

    text = (missing / "clip.json").read_text().replace('"a"', '"Straße"')
    for codec in ("utf-8", "utf-8-sig"):
        (missing / "clip.json").write_text(text, encoding=codec)
        assert video.Clip(missing).info.classes == ["Straße"]
    for codec, words in (("utf-16", "iconv -f UTF-16"), ("latin-1", "iconv -f ISO-8859-1")):
        (missing / "clip.json").write_text(text, encoding=codec)
        with pytest.raises(ams.MalformedDataError, match=words):
            video.Clip(missing)


@pytest.mark.skipif(not LAYERS["torch"], reason="built without the torch layer")
def test_networks_of_any_name_open_and_errors_name_those_that_do_not(tmp_path):
    pytest.importorskip("torch")
    from torch import nn

    import ams.torch
    from ams import export

    missing = tmp_path / f"{NOT_UTF8}.pt"
    with pytest.raises(ams.IoError, match=r"caf\\xe9"):
        ams.torch.open_network(missing)
    spec = ams.torch.StudentSpec(weights=os.fsencode(missing))
    assert os.fsencode(spec.weights) == os.fsencode(missing)
    assert r"caf\xe9" in repr(ams.torch.StudentSpec(network=missing))
    header = b'{"caf\xe9":1}'
    missing.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ams.MalformedDataError, match=r"caf\\xe9"):
        ams.torch.load_student_values(spec)

    network = export.student(nn.Conv2d(3, 4, 1), missing, input_size=(32, 32)).spec.network
    assert os.fsencode(network) == os.fsencode(missing)
    ams.torch.open_network(network)
