#!/usr/bin/env bash
# Every test: the documentation, the whole build, core under the sanitizers and on 64-bit Arm, the fuzz targets
# for a bounded time, and consumers of the installed package. PYTHON and JOBS come from the Makefile.
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
step "Core under AddressSanitizer and UndefinedBehaviorSanitizer"
build asan
ctest --preset asan -j "$jobs"
if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
  step "Core on 64-bit Arm, under qemu"
  build aarch64
  ctest --preset aarch64 -j "$jobs"
fi
step "Holder and buffer under ThreadSanitizer"
build tsan
ctest --preset tsan
step "Fuzz targets, $fuzz_seconds seconds, all at once"
build fuzz --fresh -DCMAKE_CXX_COMPILER=clang++  # a changed compiler would lose the preset's settings
pids=()
for program in build-fuzz/tests/fuzz/fuzz_*; do
  [ -x "$program" ] && [ -f "$program" ] || continue
  name=${program##*/fuzz_}
  mkdir -p "build-fuzz/corpus/$name"
  ("$program" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
    -artifact_prefix="build-fuzz/corpus/$name-" "build-fuzz/corpus/$name" "tests/fuzz/corpus/$name" \
    >"build-fuzz/$name.log" 2>&1 || { tail -n 40 "build-fuzz/$name.log"; exit 1; }
  echo "fuzz_$name: $(grep -c '' <(ls "build-fuzz/corpus/$name")) inputs, no failure") &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
step "Tests: every layer, the programs, consumers of the installed package"
ctest --preset default -j "$jobs"
