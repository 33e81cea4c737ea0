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
# Without CMake: what pkg-config says is enough for the rooms without sources.
if command -v pkg-config >/dev/null; then
  pc=$(find "$work/prefix" -name libams.pc)
  flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs libams)
  version=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --modversion libams)
  grep -q "version_string = \"$version\"" "$here/../../include/ams/core/version.hpp" ||
    { echo "libams.pc is of version $version"; exit 1; }
  # shellcheck disable=SC2086  # several words
  "${CXX:-c++}" -std=c++20 "$here/core.cpp" $flags -o "$work/with_pkg_config" && "$work/with_pkg_config" >/dev/null ||
    { echo "pkg-config: FAILED with $flags"; exit 1; }
  echo "pkg-config: $flags"
  if pc=$(find "$work/prefix" -name libams-c.pc | grep .); then
    libdir=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --variable=libdir libams-c)
    flags=$(PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --cflags --libs libams-c)
    # shellcheck disable=SC2086  # several words
    "${CC:-cc}" -std=c99 -pedantic -Wall -Werror -x c "$here/c.cpp" $flags -Wl,-rpath,"$libdir" -o "$work/in_c" &&
      "$work/in_c" || { echo "pkg-config: FAILED with $flags"; exit 1; }
  fi
fi
# What is missing is named, all of it, and nothing that depends on it instead. zstd is found without its .pc file and
# without its package file too.
find_core() {  # find_core <layer> [cmake arguments]: log of a consumer's configuration
  local layer=$1
  shift
  rm -rf "$work/found"
  PKG_CONFIG_LIBDIR=/nonexistent cmake -S "$here" -B "$work/found" -DLAYER="$layer" -Dams_ROOT="$work/prefix" "$@" 2>&1 |
    tr -s ' \n' ' '
}
reason=$(find_core runtime "-DCMAKE_IGNORE_PREFIX_PATH=/usr/local;/usr;/" || true)
[[ $reason == *"Reason given by package: ams::core needs zstd >= 1.4 (libzstd-dev), Eigen >= 3.4 (libeigen3-dev), fmt"* ]] ||
  { echo "a missing zstd is not named: $reason"; exit 1; }
reason=$(find_core policy -DCMAKE_DISABLE_FIND_PACKAGE_fmt=ON || true)
[[ $reason == *"Reason given by package: ams::core needs fmt (libfmt-dev), which was not found"* ]] ||
  { echo "a missing fmt is not named: $reason"; exit 1; }
reason=$(find_core core -DCMAKE_DISABLE_FIND_PACKAGE_zstd=ON) && cmake --build "$work/found" >/dev/null && "$work/found/consumer" >/dev/null ||
  { echo "zstd is not found by its header: $reason"; exit 1; }
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
