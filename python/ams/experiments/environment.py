"""What results depend on besides their settings: code, libraries, machine."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ams

# Of `experiments`, what runs and checkpoints are made by. The others only say what to run and draw
# what came out, so that a picture can change without a new run.
CODE = ("checkpoint.py", "job.py", "pool.py", "pretrain.py")

# Any of these brings cv2.
OPENCV = (
    "opencv-python-headless", "opencv-python", "opencv-contrib-python-headless",
    "opencv-contrib-python",
)  # fmt: skip


@functools.cache
def code_digest() -> str:
    """SHA-256 of the package's files that runs and checkpoints are made by, hexadecimal."""
    folder = Path(ams.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".so")):
        name = file.relative_to(folder)
        if name.parts[0] == "experiments" and name.name not in CODE:
            continue
        digest.update(str(name).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str | None]:
    """Of what results may depend on; None where it is not there."""
    found: dict[str, str | None] = {"ams": ams.__version__, "python": platform.python_version()}
    for name in ("torch", "numpy", "opencv", "matplotlib"):
        packages = OPENCV if name == "opencv" else (name,)
        found[name] = next(filter(None, map(_version, packages)), None)
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """The kind of machine, nothing that names it."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerators": _accelerators(),
    }


def _accelerators() -> list[str]:
    try:
        import torch
    except ImportError:
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()
