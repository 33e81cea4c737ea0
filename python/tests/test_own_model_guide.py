"""docs/own-model.md, followed step by step: every block runs, in order, in an empty folder."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import torch_support  # noqa: F401  (skips without torch)

import ams

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("AMS_BIN", ROOT / "build" / "bin"))


def blocks(text):
    """(language, code) of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run_shell(code, timeout_seconds=180):
    """Runs a block as a shell would that stops at the first error; ends whatever it left behind."""
    command = ["bash", "-euo", "pipefail", "-c", code]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        assert process.wait(timeout_seconds) == 0, code
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.skipif(not ams.build_info()["layers"]["video"], reason="built without video")
@pytest.mark.skipif(not (BIN / "ams-server").is_file(), reason=f"there are no programs in {BIN}")
def test_the_guide_works_as_written(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    namespace = {}
    guide = blocks((ROOT / "docs" / "own-model.md").read_text())
    assert {language for language, _ in guide} == {"sh", "python"}
    for number, (language, code) in enumerate(guide, start=1):
        if language == "python":
            exec(compile(code, f"block {number} of own-model.md", "exec"), namespace)
        else:
            run_shell(code)
    output = capfd.readouterr().out
    assert "120 labelled frames, 19 classes" in output
    assert re.search(r"version 2: \d+ parameters in \d+ bytes", output)
    assert "--student model.pt --input 128x64 --classes 19" in output
    assert "--teacher teacher.pt --teacher-input 256x128 --teacher-classes 19" in output
    assert re.search(r"mIoU \d+\.\d, without updates \d+\.\d", output)
