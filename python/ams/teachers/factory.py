"""What the command line names as module:factory."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def make(factory: str) -> Any:
    """What "module:factory" gives, a function or class without arguments. Modules of the current
    folder are found. Raises ValueError for another text, and what the module or the factory
    raises."""
    module, colon, name = factory.rpartition(":")
    if not colon or not module or not name:
        raise ValueError(f"'{factory}' is not module:factory, e.g. my_teacher:make")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{factory} is {type(found).__name__}; wanted is a function without arguments")
    return found()
