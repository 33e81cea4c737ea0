#!/usr/bin/env bash
# A stranger's program of three translation units compiles with the headers and zstd alone, and computes the
# same under every compiler, with any options, on every processor: it decodes the golden files and prints
# digests of training, encoding and a session, which must be those of expected.txt.
#   run.sh   [AMS_HEADERS_FOLDER=<where to build; default: a temporary folder>]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
work=${AMS_HEADERS_FOLDER:-$(mktemp -d)}
mkdir -p "$work"
[ -n "${AMS_HEADERS_FOLDER:-}" ] || trap 'rm -rf "$work"' EXIT

# The rooms that have no sources. Their headers once in each order, so that none relies on another's includes.
rooms=()
for room in core segmentation detection policy session; do
  [ ! -d "$source/include/ams/$room" ] || [ -d "$source/src/$room" ] || rooms+=("ams/$room")
done
cd "$source/include"
find "${rooms[@]}" -name '*.hpp' | sort | sed 's/.*/#include "&"/' >"$work/all_headers.hpp"
tac "$work/all_headers.hpp" >"$work/all_headers_backwards.hpp"

strict=(-std=c++20 -fno-rtti -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I "$source/include" -I "$work")
failed() { echo "$*: FAILED"; exit 1; }
compile() {  # compile <name> <compiler> <options>...
  local name=$1 unit
  shift
  for unit in training delivery conversation; do
    "$@" "${strict[@]}" -c "$here/$unit.cpp" -o "$work/$name.$unit.o" || failed "$name"
  done
}
check() {  # check <name> <command>...
  local name=$1
  shift
  "$@" "$source/tests/core/data" >"$work/$name.txt" || failed "$name"
  diff "$here/expected.txt" "$work/$name.txt" || failed "$name"
  echo "$name: the expected digests"
}

fast=(-O3 -ffp-contract=fast)
case $(uname -m) in x86_64 | aarch64) native=(-march=native) ;; *) native=() ;; esac
for compiler in g++ clang++; do
  if ! command -v "$compiler" >/dev/null; then
    echo "$compiler: not installed, skipped"
    continue
  fi
  compile "$compiler-O0" "$compiler" -O0 &
  compile "$compiler-fast" "$compiler" "${fast[@]}" "${native[@]}"
  wait $! || exit 1
  for options in O0 fast; do
    program="$work/$compiler-$options"
    "$compiler" "$program".{training,delivery,conversation}.o -lzstd -o "$program"
    check "$compiler-$options" "$program"
  done
  # Of each inline function the linker takes one unit's: that must not matter.
  "$compiler" "$work/$compiler-O0.training.o" "$work/$compiler-fast".{delivery,conversation}.o -lzstd \
    -o "$work/$compiler-mixed"
  check "$compiler-mixed" "$work/$compiler-mixed"
  # What a processor without wide vectors computes.
  if [ "$(uname -m)" = x86_64 ] && command -v qemu-x86_64 >/dev/null; then
    check "$compiler-narrow" qemu-x86_64 -cpu Nehalem "$work/$compiler-O0"
  fi
done

if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
  compile aarch64-O0 aarch64-linux-gnu-g++ -O0 &
  compile aarch64-fast aarch64-linux-gnu-g++ "${fast[@]}"
  wait $! || exit 1
  for options in O0 fast; do
    program="$work/aarch64-$options"
    aarch64-linux-gnu-g++ -static "$program".{training,delivery,conversation}.o -lzstd -o "$program"
    check "aarch64-$options" qemu-aarch64 "$program"
  done
else
  echo "aarch64: no cross compiler or no qemu-user, skipped"
fi

# What trains needs no zstd, and only profile `reference` needs Eigen.
light=$(grep -v -E 'update_codec|codec/(envelope|paper_profile|snapshot|zstd_frame)' "$work/all_headers.hpp" |
  grep ams/core)
printf '%s\n#if defined(ZSTD_VERSION_MAJOR) || defined(EIGEN_WORLD_VERSION)\n#error\n#endif\n' "$light" >"$work/light.cpp"
g++ "${strict[@]}" -fsyntax-only "$work/light.cpp" || failed "headers without zstd and Eigen"
