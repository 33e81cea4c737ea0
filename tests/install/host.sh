#!/usr/bin/env bash
# Builds a project that embeds libams (host/) and checks that it notices nothing it did not ask for.
#   host.sh [cmake arguments, e.g. -DCMAKE_CXX_COMPILER=clang++]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed() { echo "$*: FAILED"; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; failed "$*"; }; }

# A checkout in a folder with spaces, without what is not under version control.
checkout="$work/a folder/libams"
mkdir -p "$checkout"
(cd "$here/../.." && cp -r CMakeLists.txt LICENSE cmake include src "$checkout")
host="$work/the host"
cp -r "$here/host" "$host"

# As a subdirectory: after one target is built, the host installs its own files and nothing else.
build="$work/its build"
quietly cmake -S "$host" -B "$build" -G Ninja "-DLIBAMS=$checkout" "$@"
grep -q '^CMAKE_BUILD_TYPE:STRING=$' "$build/CMakeCache.txt" || failed "no build type"
[ ! -e "$build/compile_commands.json" ] || failed "no compile_commands.json"
quietly cmake --build "$build" --target app
quietly cmake --install "$build" --prefix "$work/prefix"
quietly "$work/prefix/bin/app"
[ "$(cd "$work/prefix" && find . -type f | sort | xargs)" = "./bin/app ./lib/libdevice.so" ] ||
  failed "installed: $(cd "$work/prefix" && find . -type f)"
echo "host: $(tail -n 1 "$work/log")"

# With AMS_INSTALL it installs libams as well, whose package finds the machine's zstd and fmt.
quietly cmake "$build" -DAMS_INSTALL=ON
quietly cmake --build "$build"
quietly cmake --install "$build" --prefix "$work/both"
quietly cmake -S "$here" -B "$work/consumer" -DLAYER=core "-Dams_ROOT=$work/both" "$@"
quietly cmake --build "$work/consumer"
quietly "$work/consumer/consumer"
echo "host that installs libams: $(tail -n 1 "$work/log")"

# Fetched, with several configurations: `all` compiles no room with sources that the host does not link.
quietly cmake -S "$host" -B "$work/fetch" -G "Ninja Multi-Config" "-DLIBAMS=$checkout" -DHOW=fetch \
  -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON "$@"
quietly cmake --build "$work/fetch" --config Release
quietly cmake --install "$work/fetch" --config Release --prefix "$work/fetched"
quietly "$work/fetched/bin/app"
[ -z "$(find "$work/fetch" -name 'libams_*.a')" ] || failed "compiled: $(find "$work/fetch" -name 'libams_*.a')"
echo "host that fetches core: $(tail -n 1 "$work/log")"
