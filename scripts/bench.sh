#!/usr/bin/env bash
# Runs every benchmark; each prints its table: ours, the plain alternative, the floor.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in build/benchmarks/*_benchmark; do
  "$program"
done
