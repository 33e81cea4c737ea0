import json
import struct

import pytest
from sim_support import WEIGHTS, clip

from ams.experiments.checkpoint import (
    ClipIdentity,
    identify_clip,
    read_clips,
    refuse_known_clips,
    write_clips,
)
from ams.torch import StudentSpec, load_student_values


def tiny_checkpoint(path):
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", 1.5))
    return path


def test_a_checkpoint_remembers_its_clips_and_keeps_its_tensors(tmp_path):
    path = tmp_path / "student.safetensors"
    path.write_bytes(WEIGHTS.read_bytes())
    before = load_student_values(StudentSpec(weights=str(path)))
    assert read_clips(path) == []
    clips = [ClipIdentity("one", "aa"), ClipIdentity("two", "bb")]
    write_clips(path, clips, recipe="r")
    assert read_clips(path) == clips
    after = load_student_values(StudentSpec(weights=str(path)))
    assert (before.values == after.values).all() and before.fingerprint == after.fingerprint


def test_a_clip_is_refused_by_name_and_by_content(tmp_path):
    path = tiny_checkpoint(tmp_path / "student.safetensors")
    write_clips(path, [ClipIdentity("one", "aa")], recipe="")
    refuse_known_clips(path, [ClipIdentity("two", "bb")])
    for known in (ClipIdentity("one", "cc"), ClipIdentity("renamed", "aa")):
        with pytest.raises(ValueError, match=f"pre-trained on {known.name}"):
            refuse_known_clips(path, [ClipIdentity("two", "bb"), known])


def test_a_clip_is_identified_by_its_content():
    first = identify_clip(clip(seconds=2))
    assert first.name == "street" and first == identify_clip(clip(seconds=2))
    assert first.digest != identify_clip(clip(seconds=2, seed=4)).digest


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 7, struct.pack("<Q", 100) + b"{}", b"\3" + b"\0" * 7 + b"x{}"]
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "student.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_clips(path)
