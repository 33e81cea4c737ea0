"""Whether the torch that runs is one that the extension module can be loaded with."""

from __future__ import annotations

# In the environment's own Python, with scikit-build-core, pybind11 and ninja there.
_REBUILD = "pip install --no-build-isolation --force-reinstall --no-deps <folder of libams>"


def require_matching_torch(*, built_with: str | None, running: str) -> None:
    """Raises ImportError, with the fix, unless both versions share their first two numbers.

    libtorch's binary interface changes with its minor version, and stays as it is between patches
    and between builds for CPU and for CUDA. `built_with` is what `ams.build_info()["layers"]` says
    of torch; None for a build without it. `running` is `torch.__version__`.
    """
    if built_with is None:
        raise ImportError(
            f"this libams was built without torch, and torch {running} is installed: ams.torch "
            f"needs libams built in this environment; run `{_REBUILD}`"
        )
    if _release(built_with) != _release(running):
        wanted = ".".join(_release(built_with))
        raise ImportError(
            f"libams was built with torch {built_with}, and torch {running} is installed: "
            f"ams.torch needs torch {wanted}. Either build libams again in this environment, "
            f"`{_REBUILD}`, or install the torch that it was built with, "
            f"`pip install 'torch=={wanted}.*'`"
        )


def load_failure(error: ImportError, *, built_with: str, running: str) -> ImportError:
    """What to raise when the extension module does not load although the versions match."""
    return ImportError(
        f"libams was built with torch {built_with} and does not load with torch {running} "
        f"({error}): the two come from different builds; run `{_REBUILD}`"
    )


def _release(version: str) -> tuple[str, ...]:
    return tuple(version.split("+")[0].split(".")[:2])
