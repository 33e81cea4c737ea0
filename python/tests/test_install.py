"""pip: core alone, in an environment of its own, without torch and without network."""

import importlib.util
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("TORCH", "VIDEO", "NET")


def run(*command, fails=False, **environment):
    # The build tree's package must not be found.
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=clean
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def make_wheel(folder, *options, layers, **how):
    """`pip wheel` of this checkout, with -C cmake.define.AMS_WITH_...; gives what it prints."""
    for module in ("scikit_build_core", "pybind11", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed, and a test takes nothing from the network")
    return run(
        *(sys.executable, "-m", "pip", "wheel", ROOT, "--no-build-isolation", "--no-deps"),
        *("--no-index", "--wheel-dir", folder, *options, "-C", f"build-dir={folder}/build"),
        *(part for k, v in layers.items() for part in ("-C", f"cmake.define.AMS_WITH_{k}={v}")),
        PIP_NO_CACHE_DIR="1",
        **how,
    )


def test_a_part_that_is_asked_for_and_cannot_be_built_is_named(tmp_path):
    layers = dict.fromkeys(LAYERS, "OFF") | {"VIDEO": "ON"}
    log = make_wheel(tmp_path, layers=layers, fails=True, PKG_CONFIG_LIBDIR="/nonexistent")
    assert "video was asked for, and these were not found: libavcodec" in " ".join(log.split())
    assert not list(tmp_path.glob("*.whl"))


def test_a_wheel_of_core_alone(tmp_path):
    log = make_wheel(tmp_path, "-v", layers=dict.fromkeys(LAYERS, "OFF"))
    assert "libams wheel: torch OFF, as asked for" in log
    assert re.search(r"compiling \d+ files \(core; without torch, video, net, store\), about \d+ min", log)
    assert re.search(r"\[\d+/\d+\] Building CXX object", log)
    (wheel,) = tmp_path.glob("libams-*.whl")
    names = run(sys.executable, "-m", "zipfile", "--list", wheel)
    assert re.search(r"ams/_core\.\S+\.so", names)
    for path in ("ams/__init__.py", "ams/_core.pyi", "ams/py.typed", "ams/torch/__init__.py"):
        assert path in names
    parts = ("_torch", "_video", "_net", "_edge", "_serve")
    for part in (*(f"{name}.cpython" for name in parts), ".hpp", ".a", "tests/"):
        assert part not in names
    metadata = run(
        sys.executable,
        "-c",
        "import sys, zipfile; w = zipfile.ZipFile(sys.argv[1]);"
        "print(w.read(next(n for n in w.namelist() if n.endswith('METADATA'))).decode())",
        wheel,
    )
    required = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [r for r in required if "extra ==" not in r] and not any(
        r.startswith("torch") for r in required if "extra ==" not in r
    )

    # Its only dependency at import is numpy: this environment's own.
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin/python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))").strip()
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    numpy = Path(importlib.util.find_spec("numpy").origin).parent
    for folder in (numpy, numpy.with_name("numpy.libs")):
        if folder.exists():
            Path(site, folder.name).symlink_to(folder)
    program = """
import ams, sys
import numpy as np
info = ams.build_info()
layers = info["layers"]
assert layers.pop("torch") is None and not any(layers.values()), info
state = ams.ModelState(ams.Manifest([("w", (10,))]), np.zeros(10, np.float32))
device = state.copy()
ams.apply_update(ams.encode_update(state, np.ones(10, np.float32), [1, 2]), device)
assert device.version == state.version
assert "torch" not in sys.modules
import ams.protocol, ams.synthetic
for use in (lambda: ams.protocol.encode_message, lambda: __import__("ams.video")):
    try:
        use()
    except (ams.UnavailableError, ImportError) as error:
        assert "pip install" in str(error), error
    else:
        raise AssertionError("a layer that was not built is there")
try:
    import ams.torch
except ImportError as error:
    assert "torch" in str(error)
print("core alone:", ams.__version__)
"""
    assert "core alone" in run(python, "-c", program)
