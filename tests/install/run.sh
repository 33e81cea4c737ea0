#!/usr/bin/env bash
# Installs a build tree into a private prefix and builds a ten-line consumer of every installed layer
# against it, the way another project would: find_package(ams), nothing else.
#   run.sh <build folder> [cmake arguments, e.g. -DCMAKE_PREFIX_PATH=...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
for main in "$here"/*.cpp; do
  layer=$(basename "$main" .cpp)
  if ! find "$work/prefix" -name "ams-$layer-targets.cmake" | grep -q .; then
    echo "ams::$layer: not installed by this build, skipped"
    continue
  fi
  {
    cmake -S "$here" -B "$work/$layer" -DLAYER="$layer" -Dams_ROOT="$work/prefix" "$@" &&
      cmake --build "$work/$layer" && "$work/$layer/consumer"
  } >"$work/$layer.log" 2>&1 || { cat "$work/$layer.log"; echo "ams::$layer: FAILED"; exit 1; }
  echo "ams::$layer: $(tail -n 1 "$work/$layer.log")"
done
# A layer that is only wished for, and whose packages are another version now, is left out.
if find "$work/prefix" -name ams-torch-targets.cmake | grep -q .; then
  config=$(find "$work/prefix" -name amsConfig.cmake)
  sed -i 's/AMS_LIBTORCH_VERSION STREQUAL "[^"]*"/AMS_LIBTORCH_VERSION STREQUAL "0"/' "$config"
  cmake -S "$here" -B "$work/optional" -DLAYER=core -DOPTIONAL_LAYER=torch -Dams_ROOT="$work/prefix" "$@" \
    >"$work/optional.log" 2>&1 || { cat "$work/optional.log"; echo "optional ams::torch: FAILED"; exit 1; }
  if cmake -S "$here" -B "$work/required" -DLAYER=torch -Dams_ROOT="$work/prefix" "$@" >"$work/required.log" 2>&1; then
    echo "ams::torch was found with another libtorch than it was built with"
    exit 1
  fi
fi
# The programs find their libraries where they are installed too.
for program in "$work"/prefix/bin/*; do
  [ -x "$program" ] || continue
  "$program" --help >"$work/help.log" 2>&1 || { cat "$work/help.log"; echo "$program: FAILED"; exit 1; }
done
# core must not need what the other layers need: no torch, no video, no network package is looked for.
if grep -E "Torch|OpenSSL|libav|x264" "$work/core.log" >/dev/null; then
  echo "ams::core looked for another layer's packages"
  exit 1
fi
