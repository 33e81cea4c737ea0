"""What README.md and docs/ show of Python runs as written, and their commands are understood."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
import torch
import torch_support  # noqa: F401  (skips without torch)

import ams
from ams.experiments.cli import COMMANDS
from ams.experiments.flags import make_parser
from ams.experiments.unused_flags import refuse_unused

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


def run_python(page, *, names=None):
    """Runs the Python blocks of a page, in order."""
    names = {} if names is None else names
    for number, (language, code) in enumerate(blocks((ROOT / page).read_text()), start=1):
        if language == "python":
            exec(compile(code, f"block {number} of {page}", "exec"), names)
    return names


def test_the_readmes_first_update_runs(capsys):
    run_python("README.md")
    assert re.fullmatch(r"\d+ bytes: \d+ parameters\n", capsys.readouterr().out)


def test_the_prediction_that_is_shown_is_read(tmp_path, capsys):
    page = blocks((ROOT / "docs" / "predictions.md").read_text())
    (record,) = (code for language, code in page if language == "json")
    (tmp_path / "out").write_text(" ".join(record.split()) + "\n")
    run_python("docs/predictions.md", names={"where": str(tmp_path / "out")})
    assert capsys.readouterr().out == "0.567 {0: 0.4125, 8: 0.5875} None\n"


def test_the_class_map_that_is_shown_is_made(capsys):
    page = blocks((ROOT / "docs" / "teachers.md").read_text())
    (shown,) = (code for language, code in page if language == "text")
    run_python("docs/teachers.md")
    assert capsys.readouterr().out == shown


def test_commands_of_experiments_are_understood():
    found = 0
    pages = sorted((ROOT / "docs").glob("*.md"))
    for page in (ROOT / "README.md", ROOT / "scripts" / "results.sh", *pages):
        text = page.read_text().replace("\\\n", " ")
        for command in re.findall(r"ams\.experiments (?!--help)(.*)$", text, re.MULTILINE):
            if "`" in command:
                continue
            words = shlex.split(command.replace("WEIGHTS", "--weights FILE").replace("$s", "1"))
            parser = make_parser(COMMANDS)
            refuse_unused(parser.parse_args(words), parser)
            found += 1
    assert found > 10


@pytest.mark.skipif(not ams.build_info()["layers"]["video"], reason="built without video")
@pytest.mark.skipif(not (BIN / "ams-server").is_file(), reason=f"there are no programs in {BIN}")
def test_the_guide_to_a_model_of_ones_own_works(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # where ams-server keeps sessions
    names = {}
    guide = blocks((ROOT / "docs" / "own-model.md").read_text())
    assert {language for language, _ in guide} == {"sh", "python"}
    for number, (language, code) in enumerate(guide, start=1):
        if language == "python":
            exec(compile(code, f"block {number} of own-model.md", "exec"), names)
        else:
            run_shell(code)
    output = capfd.readouterr().out
    assert "120 labelled frames, 19 classes" in output
    assert "normalization_and_head" in output
    assert re.search(r"version 2: \d+ parameters in \d+ bytes", output)
    with_updates, without = re.search(r"updates: loss ([\d.]+), without ([\d.]+)", output).groups()
    assert float(with_updates) < float(without)
    assert "--student model.pt --input 128x64 --classes 19" in output
    assert "--teacher teacher.pt --teacher-input 256x128 --teacher-classes 19" in output
    assert re.search(r"mIoU \d+\.\d, without updates \d+\.\d", output)
