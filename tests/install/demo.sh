#!/usr/bin/env bash
# What `make demo` compiles is what it runs: no test, no benchmark, no Python module, in a build folder of its own and
# in one that has everything; and it configures without their packages.
#   demo.sh <build folder> <python>
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

check() {  # check <build folder>
  ninja -C "$1" -t commands demo >"$work/commands"
  for program in ams-server ams-edge ams-render ams-annotate; do
    grep -q -- "-o bin/$program " "$work/commands" || { echo "$program is not built"; exit 1; }
  done
  if grep -E -- "-o (tests|benchmarks|python)/" "$work/commands"; then
    echo "the demo needs none of these"
    exit 1
  fi
}
cmake --preset demo -S "$source" -B "$work/demo" -DAMS_PYTHON_EXECUTABLE="$2" -DCMAKE_DISABLE_FIND_PACKAGE_doctest=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
check "$work/demo"
if [ -e "$1/build.ninja" ]; then
  check "$1"
  echo "demo: $(wc -l <"$work/commands") of $(ninja -C "$1" -t commands all | wc -l) steps"
fi
