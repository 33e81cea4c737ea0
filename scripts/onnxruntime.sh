#!/usr/bin/env bash
# Fetches ONNX Runtime into .cache/onnxruntime (include, lib), where CMake finds it. Does nothing where it is there, or
# where the system has it (Debian >= 13: libonnxruntime-dev).
#
# The library is that of the wheel on PyPI. The wheel has no headers: they are those of Debian 13's package, from the
# mirror that this machine uses. A library runs programs that were built with older headers.
#
#   scripts/onnxruntime.sh PYTHON [aarch64]    aarch64: that of 64-bit Arm, into .cache/onnxruntime-aarch64
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
architecture=${2:-}
place=$PWD/.cache/onnxruntime${architecture:+-$architecture}
[ ! -e "$place/lib/libonnxruntime.so" ] || exit 0
[ -n "$architecture" ] || [ ! -e /usr/include/onnxruntime/onnxruntime_cxx_api.h ] || exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "note: no ONNX Runtime: unpack a release archive into $place for devices without libtorch" >&2
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work"/include "$work"/lib
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
  grep -v security | head -n 1) || true
[ -n "$uri" ] || {
  echo "error: apt names no source of Debian; unpack an ONNX Runtime release archive into $place" >&2
  exit 1
}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb $([ ! -e $keyring ] || echo "[signed-by=$keyring]") $uri trixie main" >"$work/apt/sources.list"
options=(-qq -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o "APT::Sandbox::User=$(id -un)"
  -o "APT::Architectures=$(dpkg --print-architecture)" -o "Acquire::Languages=none")
echo "Fetching ONNX Runtime"
apt-get "${options[@]}" update
(cd "$work" && apt-get "${options[@]}" download libonnxruntime-dev)
dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/package"
cp "$work"/package/usr/include/onnxruntime/*.h "$work/include"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$work" \
  ${architecture:+--platform "manylinux_2_28_$architecture" --platform "manylinux_2_27_$architecture"} \
  'onnxruntime>=1.20,<2'
"$python" -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel"
cp "$work"/wheel/onnxruntime/capi/libonnxruntime*.so* "$work/lib"
library=$(cd "$work/lib" && ls libonnxruntime.so.*)
ln -s "$library" "$work/lib/libonnxruntime.so.1"
ln -s "$library" "$work/lib/libonnxruntime.so"
rm -rf "$place"
mkdir -p "$place"
mv "$work/include" "$work/lib" "$place"
