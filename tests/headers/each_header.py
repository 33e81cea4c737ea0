#!/usr/bin/env python3
"""Each public header stands alone, and brings what its documentation says one has to name.

A header that is the first which some unit of src/ or tests/ includes was compiled alone with that
unit; the others are compiled here.   each_header.py <compiler>
"""

import concurrent.futures
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
INCLUDE = SOURCE / "include"
HEADERS = {str(path.relative_to(INCLUDE)): path.read_text() for path in INCLUDE.rglob("*.hpp")}
# What every room throws, and what is in the handles of those that know frames and labels.
ROOMS = {header.split("/")[1] for header in HEADERS}
NAMES = {
    "Error": ("ams/core/error.hpp", ROOMS),
    "Frame": ("ams/core/frame.hpp", {"torch", "video"}),
    "LabelMap": ("ams/segmentation/label_map.hpp", {"torch", "video"}),
}


def reached(header, seen):
    """The headers of libams that come with one, itself among them."""
    if header not in seen:
        seen.add(header)
        for included in re.findall(r'#include "(ams/[^"]+)"', HEADERS[header]):
            reached(included, seen)
    return seen


def undocumented(header):
    """The names in the documentation of a header that it does not bring."""
    words = set(re.findall(r"\w+", "\n".join(re.findall(r"///<?(.*)", HEADERS[header]))))
    for name, (home, rooms) in NAMES.items():
        if name in words and header.split("/")[1] in rooms and home not in reached(header, set()):
            yield f"{header} speaks of {name} and does not include {home}"


def first_included():
    """The headers that some unit includes before anything else."""
    for folder in ("src", "tests"):
        for unit in (SOURCE / folder).rglob("*.cpp"):
            first = re.search(r'#include [<"]([^>"]+)', unit.read_text())
            if first:
                yield first[1]


def compile_alone(header):
    command = [*sys.argv[1:], "-std=c++20", "-fsyntax-only", "-x", "c++", "-I", INCLUDE, "-"]
    unit = f'#include "{header}"\n'
    done = subprocess.run(command, input=unit, capture_output=True, text=True, check=False)
    return f"{header} does not compile alone:\n{done.stderr}" if done.returncode else None


def main():
    alone = sorted(HEADERS.keys() - set(first_included()))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        faults = [fault for fault in pool.map(compile_alone, alone) if fault]
    faults += [fault for header in sorted(HEADERS) for fault in undocumented(header)]
    print(*faults, f"{len(HEADERS)} headers, {len(alone)} compiled here", sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
