#!/usr/bin/env bash
# Every test: the documentation, the whole build, all but libtorch under the sanitizers, core on 64-bit Arm, the fuzz
# targets for a bounded time, and consumers of the installed package. PYTHON and JOBS come from the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
jobs=${JOBS:-$(nproc)}
fuzz_seconds=${AMS_FUZZ_SECONDS:-60}
step() { printf '\n== %s\n' "$*"; }
build() {  # build <preset> [cmake arguments]
  local preset=$1 log
  shift
  log=$(mktemp)
  cmake --preset "$preset" "$@" >"$log" 2>&1 || { cat "$log"; rm -f "$log"; return 1; }
  rm -f "$log"
  cmake --build --preset "$preset" -j "$jobs"
}

step "Documentation: every link and reference"
scripts/docs.sh
step "Build everything"
build default -DAMS_PYTHON_EXECUTABLE="$python"
step "All but libtorch under AddressSanitizer and UndefinedBehaviorSanitizer"
build asan --fresh  # a folder that gcc has made would lose the preset's settings
ctest --preset asan -j "$jobs"
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
  step "Core on 64-bit Arm, under qemu"
  build aarch64
  ctest --preset aarch64 -j "$jobs"
fi
step "What threads share, under ThreadSanitizer"
build tsan
ctest --preset tsan
step "Fuzz targets, $fuzz_seconds seconds, all at once"
pids=()
for program in build-asan/tests/fuzz/fuzz_*; do
  [ -x "$program" ] && [ -f "$program" ] || continue
  name=${program##*/fuzz_}
  mkdir -p "build-asan/corpus/$name"
  ("$program" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
    -artifact_prefix="build-asan/corpus/$name-" "build-asan/corpus/$name" "tests/fuzz/corpus/$name" \
    >"build-asan/$name.log" 2>&1 || { tail -n 40 "build-asan/$name.log"; exit 1; }
  echo "fuzz_$name: $(grep -c '' <(ls "build-asan/corpus/$name")) inputs, no failure") &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
step "Tests: every layer, the programs, consumers of the installed package"
ctest --preset default -j "$jobs"
