"""The committed type stubs are those of the extension modules that were built."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import ams

ROOT = Path(__file__).parents[2]
MADE_WITH_PYBIND11 = "3.0"  # another one writes other signatures


def test_regenerated_stubs_are_the_committed_ones(tmp_path):
    info = ams.build_info()
    missing = [name for name, built in info["layers"].items() if not built]
    if missing:
        pytest.skip(f"built without {', '.join(missing)}")
    if importlib.util.find_spec("pybind11_stubgen") is None:
        pytest.skip("pybind11-stubgen is not installed")
    if info["pybind11"] != MADE_WITH_PYBIND11:
        pytest.skip(f"built with pybind11 {info['pybind11']}, the stubs with {MADE_WITH_PYBIND11}")
    script = ROOT / "scripts/make_stubs.py"
    made = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    for stub in sorted(tmp_path.iterdir()):
        committed = ROOT / "python/ams" / stub.name
        assert committed.is_file(), f"{stub.name} is not committed; run scripts/make_stubs.py"
        assert stub.read_text() == committed.read_text(), (
            f"{stub.name} is out of date; run scripts/make_stubs.py"
        )
