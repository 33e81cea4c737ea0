#!/usr/bin/env python3
"""Writes the type stubs of the extension modules (python/ams/_*.pyi) from their docstrings.

PYTHONPATH=build/python .venv/bin/python scripts/make_stubs.py [folder]

Run it after every change of a binding: a test compares. Needs a build with every layer, and the
pybind11-stubgen that pyproject.toml pins.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

# What pybind11 writes of a type says nothing of its parts, and mypy --strict wants them.
PARTS = {
    "dict": "[str, typing.Any]",
    "list": "[typing.Any]",
    "tuple": "[typing.Any, ...]",
    "os.PathLike": "[str]",
    "collections.abc.Callable": "[..., typing.Any]",
    "collections.abc.Iterable": "[typing.Any]",
}
BARE = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, PARTS))})(?![\w.\[(])")
MODULES = ("_core", "_edge", "_net", "_serve", "_torch", "_video")


def main() -> None:
    """Generates all stubs, or none when a signature cannot be written down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parent.parent / "python/ams"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    folder = parser.parse_args().folder

    import ams

    missing = [name for name, built in ams.build_info()["layers"].items() if not built]
    if missing:
        sys.exit(f"the stubs need a build with every layer; missing: {', '.join(missing)}")
    import torch  # noqa: F401  # _torch finds its libraries in the process
    from pybind11_stubgen import main as generate

    with tempfile.TemporaryDirectory() as scratch:
        for name in MODULES:
            show_own_static_methods(importlib.import_module(f"ams.{name}"))
            generate(
                [
                    f"ams.{name}",
                    "--output-dir",
                    scratch,
                    "--numpy-array-wrap-with-annotated",
                    "--exit-code",
                ]
            )
        for name in MODULES:
            text = Path(scratch, "ams", f"{name}.pyi").read_text()
            (folder / f"{name}.pyi").write_text(strict(text))


def strict(stub: str) -> str:
    """The stub as mypy --strict wants it."""
    lines = []
    is_text = False  # within a docstring
    for line in stub.splitlines():
        if not is_text and not line.lstrip().startswith(("#", '"""')):
            line = BARE.sub(lambda found: found[1] + PARTS[found[1]], line)
            line = re.sub(r"(def __(?:eq|ne)__\(self, \w+): [^)]*\)", r"\1: object)", line)
            line = line.replace("*args)", "*args: typing.Any)")
            if "__hash__: typing.ClassVar[None]" in line:
                line += "  # type: ignore[assignment]"
        is_text ^= line.count('"""') % 2 == 1
        lines.append(line)
    return "\n".join(lines) + "\n"


def show_own_static_methods(module: ModuleType) -> None:
    """Takes back what ams._functions does to them: the generator reads those of the extension."""
    for value in list(vars(module).values()):
        for name, kept in list(vars(value).items()) if inspect.isclass(value) else []:
            if isinstance(kept, staticmethod) and hasattr(kept.__func__, "__wrapped__"):
                setattr(value, name, staticmethod(kept.__func__.__wrapped__))


if __name__ == "__main__":
    main()
