"""What a user writes passes mypy --strict, and so do the stubs of the extension modules."""

import subprocess
import sys
from pathlib import Path

import pytest

import ams

pytest.importorskip("mypy")
pytest.importorskip("torch")

PACKAGE = Path(ams.__file__).parent
HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parent / "examples").glob("*.py"))
CONFIG = """
[mypy]
strict = True
cache_dir = {cache}

[mypy-ams.*]
follow_imports = silent

[mypy-torchvision.*]
ignore_missing_imports = True
"""


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """Gives nothing, or what it finds in some files: as for a package that is installed, no more."""
    folder = tmp_path_factory.mktemp("mypy")
    config = folder / "mypy.ini"
    config.write_text(CONFIG.format(cache=folder / "cache"))  # torch is read once

    def check(*files):
        ran = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", config, *files],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            cwd=PACKAGE.parent,
        )
        return "" if ran.returncode == 0 else ran.stdout + ran.stderr

    return check


def test_programs_of_users(mypy):
    assert mypy(HERE / "typed_program.py", *EXAMPLES) == ""


def test_a_mistake_is_found(mypy, tmp_path):
    program = tmp_path / "mistaken.py"
    program.write_text("import ams\nams.Server(1.5, lambda frames: frames, port='8443')\n")
    found = mypy(program)
    assert 'Argument 1 to "Server"' in found and 'Argument "port"' in found


def test_stubs(mypy):
    assert mypy(*sorted((HERE.parent / "ams").glob("_*.pyi"))) == ""
