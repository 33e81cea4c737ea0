"""Every error of the C++ library is a documented Python exception."""

import re
from pathlib import Path

import pytest

import ams

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
