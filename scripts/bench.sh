#!/usr/bin/env bash
# Runs every benchmark; each prints its table: ours, the plain alternative, the floor.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
bundles=()
for student in edanet deeplabv3_mobilenetv2; do
  [ -x build/benchmarks/runtime_benchmark ] || continue
  bundles+=("build/benchmarks/$student.bundle")
  [ -f "${bundles[-1]}" ] || PYTHONPATH=build/python "$python" -m ams.export bundle --student "$student" "${bundles[-1]}"
done
for program in build/benchmarks/*_benchmark; do
  case $program in
    */runtime_benchmark) "$program" "${bundles[@]}" ;;
    *) "$program" ;;
  esac
done
