import importlib
import sys

import pytest
from torch_support import torch

import ams
from ams.torch.version_check import load_failure, require_matching_torch


@pytest.mark.parametrize(
    ("built_with", "running"),
    [("2.7.0", "2.7.0"), ("2.7.0", "2.7.1+cu128"), ("2.13.0", "2.13.0+cpu"), ("2.13", "2.13.1")],
)
def test_the_same_minor_version_is_accepted(built_with, running):
    require_matching_torch(built_with=built_with, running=running)


def test_another_version_is_refused_with_both_fixes():
    with pytest.raises(ImportError) as raised:
        require_matching_torch(built_with="2.7.0", running="2.13.0+cpu")
    message = str(raised.value)
    assert "built with torch 2.7.0" in message and "torch 2.13.0+cpu is installed" in message
    assert (
        "pip install --no-build-isolation --force-reinstall --no-deps <folder of libams>" in message
    )
    assert "pip install 'torch==2.7.*'" in message
    with pytest.raises(ImportError):
        require_matching_torch(built_with="2.1.0", running="2.13.0")


def test_a_build_without_torch_says_how_to_get_one():
    with pytest.raises(ImportError, match="built without torch.*no-build-isolation"):
        require_matching_torch(built_with=None, running="2.13.0")


def test_a_module_that_does_not_load_says_what_to_do():
    error = load_failure(ImportError("undefined symbol"), built_with="2.7.0", running="2.7.1")
    assert "undefined symbol" in str(error) and "no-build-isolation" in str(error)


@pytest.fixture
def fresh_import(monkeypatch):
    """ams.torch as if it had never been imported."""
    for name in [
        name for name in sys.modules if name == "ams.torch" or name.startswith("ams.torch.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(ams, "torch", raising=False)


def test_the_import_checks_the_version(fresh_import, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.6.0")
    with pytest.raises(ImportError, match="torch 2.6.0 is installed"):
        importlib.import_module("ams.torch")


def test_the_import_says_when_torch_is_missing(fresh_import, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"needs torch >= 2.7 \(pip install torch\)"):
        importlib.import_module("ams.torch")


def test_core_does_not_import_torch():
    import subprocess

    code = "import sys, ams; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
