#!/usr/bin/env python3
"""The recipes of packaging/ know this version and decide about every room and part of the build."""

import json
import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PACKAGING = SOURCE / "packaging"


def faults():
    header = (SOURCE / "include/ams/core/version.hpp").read_text()
    version = re.search(r'version_string = "([0-9.]+)"', header)[1]
    port = json.loads((PACKAGING / "vcpkg/libams/vcpkg.json").read_text())
    if port["version"] != version:
        yield f"vcpkg.json is of version {port['version']}, libams of {version}"
    if f"## {version}" not in (SOURCE / "CHANGELOG.md").read_text():
        yield f"CHANGELOG.md says nothing of version {version}"

    build = (SOURCE / "CMakeLists.txt").read_text()
    options = set(re.findall(r"^(?:option|if\(NOT DEFINED )\(?(AMS_\w+)", build, re.MULTILINE))
    on = re.findall(r"^option\((AMS_(?:WITH|BUILD)_\w+) .*\$\{PROJECT_IS", build, re.MULTILINE)
    for recipe in ("vcpkg/libams/portfile.cmake", "conan/conanfile.py"):
        text = (PACKAGING / recipe).read_text()
        for option in on:
            name = option.split("_", 2)[2]
            if option not in text and f'"{name}"' not in text:
                yield f"packaging/{recipe} leaves {option} to its default"
        for named in set(re.findall(r"AMS_(?:WITH|BUILD)_[A-Z0-9]+", text)) - options:
            yield f"packaging/{recipe} names {named}, which is no option"


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or 0)
