#!/usr/bin/env bash
# Builds the site: docs/, the C++ reference and the Python reference, into build-docs/html. A broken link or reference
# fails. Its Python packages live in build-docs/venv.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --docs
python=build-docs/venv/bin/python
if [ ! -x "$python" ] || ! cmp -s docs/requirements.txt build-docs/venv/requirements.txt; then
  rm -rf build-docs/venv
  python3 -m venv build-docs/venv
  "$python" -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
  cp docs/requirements.txt build-docs/venv/requirements.txt
fi
rm -rf build-docs/source build-docs/doxygen
mkdir -p build-docs/doxygen
cp -r docs build-docs/source
ln -sfn ../examples ../python ../src ../tests build-docs  # pages show some of their code
doxygen docs/Doxyfile
"$python" -m sphinx -q -W --keep-going -E -b html build-docs/source build-docs/html
echo "wrote build-docs/html/index.html"
