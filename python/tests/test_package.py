"""The package as a whole: what it has, and that it needs no torch."""

import importlib.util
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ams
import ams.bundle
import ams.detection
import ams.onnx_predictor
import ams.outputs
import ams.parts
import ams.protocol
import ams.synthetic
import ams.teachers

ROOT = Path(__file__).parents[2]


def test_version_is_the_library_s():
    text = (ROOT / "include/ams/core/version.hpp").read_text()
    assert ams.__version__ == re.search(r'version_string = "([^"]+)"', text)[1]
    info = ams.build_info()
    assert info["version"] == ams.__version__
    assert set(info) == {"version", "layers", "compiler", "pybind11"}
    assert set(info["layers"]) == {"torch", "video", "x264", "net", "store"}


def test_importing_it_imports_no_torch():
    code = (
        "import sys, ams, ams.bundle, ams.detection, ams.onnx_predictor; "
        "import ams.protocol, ams.synthetic; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "module",
    [
        ams,
        ams.bundle,
        ams.detection,
        ams.onnx_predictor,
        ams.outputs,
        ams.parts,
        ams.protocol,
        ams.synthetic,
        ams.teachers,
    ],
)
def test_everything_public_has_a_docstring(module):
    assert module.__doc__
    assert sorted(module.__all__) == sorted(set(module.__all__))
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or callable(value):
            assert value.__doc__ and value.__doc__.strip(), name
        if inspect.isclass(value):
            for member, thing in vars(value).items():
                if not member.startswith("_"):
                    assert thing.__doc__ and thing.__doc__.strip(), f"{name}.{member}"


def public_modules():
    layers = ams.build_info()["layers"]
    names = ["ams", "ams.bundle", "ams.onnx_predictor", "ams.outputs", "ams.parts"]
    names += ["ams.detection", "ams.protocol", "ams.synthetic", "ams.teachers"]
    names += ["ams.video"] if layers["video"] else []
    names += ["ams.edge"] if layers["video"] and layers["x264"] and layers["net"] else []
    names += ["ams.torch"] if layers["torch"] and importlib.util.find_spec("torch") else []
    return [importlib.import_module(name) for name in names]


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_help_shows_signatures_and_nothing_of_the_bindings(module):
    texts = {module.__name__: pydoc.render_doc(module, renderer=pydoc.plaintext)}
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, str | int):  # of which the module's help tells
            continue
        texts[name] = pydoc.render_doc(value, renderer=pydoc.plaintext)
        if inspect.isroutine(value):
            assert inspect.signature(value).return_annotation != inspect.Signature.empty or (
                "Overloaded function" in value.__doc__
            )
            assert f"\n{name}(" in texts[name] and f"{name}(...)" not in texts[name]
    for name, text in texts.items():
        assert "pybind11_detail" not in text, name


def test_help_of_a_function_and_of_a_static_method():
    text = pydoc.render_doc(ams.apply_update, renderer=pydoc.plaintext)
    assert "\napply_update(data: bytes" in text
    assert "state: ams.ModelState) -> ams.UpdateInfo\n" in text
    assert "\nfraction_count(gamma: float, dimension: int) -> int\n" in pydoc.render_doc(
        ams.fraction_count, renderer=pydoc.plaintext
    )
    text = pydoc.render_doc(ams.CoordinateSet, renderer=pydoc.plaintext)
    assert "all(dimension: int) -> ams.CoordinateSet" in text
    assert ams.CoordinateSet.all(3).is_all and ams.CoordinateSet.all(dimension=3).dimension == 3
    assert pickle.loads(pickle.dumps(ams.fraction_count)) is ams.fraction_count


def test_unknown_keywords_name_the_allowed_ones():
    with pytest.raises(TypeError, match="has no keyword argument 'gama'; allowed are gamma, "):
        ams.GradientGuidedAdam(10, gama=0.1)
    with pytest.raises(TypeError, match="interval_seconds"):
        ams.SamplingRateController(every=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": 0}, "gamma"),
        ({"gamma": "much"}, "gamma is 'much'; allowed is a number"),
        ({"learning_rate": float("nan")}, "learning_rate|learning rate"),
        ({"epsilon_placement": "below"}, "'outside_root', 'inside_root'"),
        ({"strategy": "best"}, "gradient_guided"),
        ({"seed": -1}, "seed is -1; allowed is a whole number from 0"),
        ({"seed": 1.5}, "seed is 1.5; allowed is a whole number"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(arguments, message):
    with pytest.raises(ams.InvalidArgumentError, match=message):
        ams.GradientGuidedAdam(10, **arguments)
    other = ams.SessionOptions if "seed" in arguments else ams.FixedPolicy
    with pytest.raises(ams.InvalidArgumentError, match=message):
        other(**arguments)
