#!/usr/bin/env bash
# Installs what is missing: Debian packages, and a Python environment with torch. Does nothing on a
# machine that has everything. Safe to run again.
#
#   AMS_PYTHON=/path/to/python   use that environment's torch (>= 2.7) instead of .venv
#   AMS_TORCH=torch==2.13.0      the torch to install into .venv when it has none
#   PIP_INDEX_URL, PIP_EXTRA_INDEX_URL are honoured, e.g. to take a CPU-only build of torch
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  build-essential cmake ninja-build ccache pkg-config git ca-certificates
  python3 python3-venv python3-dev
  libzstd-dev zlib1g-dev libeigen3-dev libfmt-dev doctest-dev                                      # core
  libavcodec-dev libavformat-dev libavutil-dev libavdevice-dev libswscale-dev libx264-dev  # video
  libboost-dev libssl-dev libflatbuffers-dev flatbuffers-compiler                       # net
  libcli11-dev nlohmann-json3-dev                                                       # programs
  liblzma-dev libbrotli-dev                                                             # benchmarks
)
if [ "${1:-}" = "--test" ]; then
  packages+=(clang-14 libclang-rt-14-dev libpng-dev)  # fuzzing; reading probe pictures
fi

missing=()
if command -v dpkg-query >/dev/null; then
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    echo "Installing: ${missing[*]}"
    sudo=""
    if [ "$(id -u)" -ne 0 ]; then
      command -v sudo >/dev/null || {
        echo "error: run as root, or install sudo, or install by hand: ${missing[*]}" >&2
        exit 1
      }
      sudo=sudo
    fi
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
else
  echo "Not a Debian-like machine: make sure that the equivalents of these packages are there:"
  echo "  ${packages[*]}"
fi

if [ -n "${AMS_PYTHON:-}" ]; then
  "$AMS_PYTHON" -c 'import torch, numpy, matplotlib' || {
    echo "error: AMS_PYTHON=$AMS_PYTHON needs torch >= 2.7, numpy and matplotlib" >&2
    exit 1
  }
  exit 0
fi
if ! .venv/bin/python -c 'import torch, numpy, matplotlib' 2>/dev/null; then
  echo "Preparing .venv with ${AMS_TORCH:-torch==2.13.0}"
  [ -x .venv/bin/python ] || python3 -m venv .venv
  .venv/bin/python -c 'import torch' 2>/dev/null ||
    .venv/bin/pip install --quiet --disable-pip-version-check "${AMS_TORCH:-torch==2.13.0}"
  .venv/bin/pip install --quiet --disable-pip-version-check 'numpy>=1.26,<3' 'matplotlib>=3.8,<4'
fi
