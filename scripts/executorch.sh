#!/usr/bin/env bash
# Fetches ExecuTorch into .cache/executorch (include, lib), where CMake finds it. Does nothing where it is there. It is
# what a device needs of the wheel on PyPI; ExecuTorch is under the BSD licence, which is kept beside it.
#
#   scripts/executorch.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
place=$PWD/.cache/executorch
[ ! -e "$place/lib/libexecutorch.so" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lib"
echo "Fetching ExecuTorch"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$work" \
  executorch==1.5.1
"$python" -m zipfile -e "$work"/executorch-*.whl "$work/wheel"
for library in executorch executorch_threadpool executorch_kernels_optimized executorch_backend_xnnpack; do
  cp "$work/wheel/executorch/lib/lib$library.so" "$work/lib"
done
rm -rf "$place"
mkdir -p "$place"
find "$work/wheel" -path '*.dist-info/*' -type f -iname 'LICENSE*' -exec cp {} "$place" \;
mv "$work/wheel/executorch/include" "$work/lib" "$place"
