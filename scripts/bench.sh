#!/usr/bin/env bash
# Runs every benchmark; each prints its table: ours, the plain alternative, the floor.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
folder=build/benchmarks
bundles=()
executorch=()
if [ -x $folder/executorch_benchmark ]; then
  if "$python" -c 'import executorch.exir' 2>/dev/null; then
    executorch=(--executorch)
  else
    echo "note: ExecuTorch is not measured; scripts/setup.sh --executorch installs what writes its programs"
  fi
fi
for student in edanet deeplabv3_mobilenetv2; do
  [ -x $folder/runtime_benchmark ] || [ ${#executorch[@]} -gt 0 ] || continue
  bundles+=("$folder/$student${executorch[*]:+-executorch}.bundle")
  [ -f "${bundles[-1]}" ] ||
    PYTHONPATH=build/python "$python" -m ams.export bundle --student "$student" "${executorch[@]}" "${bundles[-1]}"
done
for program in $folder/*_benchmark; do
  case $program in
    */runtime_benchmark) "$program" "${bundles[@]}" ;;
    */executorch_benchmark) [ ${#executorch[@]} -eq 0 ] || "$program" "${bundles[@]}" ;;
    *) "$program" ;;
  esac
done
