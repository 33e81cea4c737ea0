#!/usr/bin/env bash
# Installs what is missing: Debian packages, and a Python environment with torch. Does nothing on a
# machine that has everything. Safe to run again.
#
#   scripts/setup.sh           for `make build`: every library, program and benchmark, and the Python package
#   scripts/setup.sh --demo    for `make demo`: the programs alone
#   scripts/setup.sh --onnx    for `make demo DEMO_ARGS='--edge onnx'`: those, and what makes student bundles
#   scripts/setup.sh --executorch   the same for `make demo DEMO_ARGS='--edge executorch'`
#   scripts/setup.sh --test    for `make test`: everything, the second compiler and 64-bit Arm
#   scripts/setup.sh --docs    for `make docs`
#
#   AMS_PYTHON=/path/to/python   use that environment's torch (>= 2.7) instead of .venv
#   AMS_TORCH=torch==2.13.0      the torch to install into .venv when it has none
#   PIP_INDEX_URL, PIP_EXTRA_INDEX_URL are honoured, e.g. to take a CPU-only build of torch
set -euo pipefail
cd "$(dirname "$0")/.."
programs_alone=false
case ${1:-} in --demo | --onnx | --executorch) programs_alone=true ;; esac

packages=(
  build-essential cmake ninja-build ccache pkg-config git ca-certificates python3 python3-venv
  libzstd-dev libeigen3-dev libfmt-dev                                                  # core
  libavcodec-dev libavformat-dev libavutil-dev libavdevice-dev libswscale-dev libx264-dev  # video
  libboost-dev libssl-dev libflatbuffers-dev flatbuffers-compiler                       # net
  libsqlite3-dev                                                                        # store
  libzip-dev                                                                            # bundle
  libcli11-dev nlohmann-json3-dev                                                       # programs
)
if [ "${1:-}" = "--onnx" ] || [ "${1:-}" = "--executorch" ]; then
  packages+=(python3-dev)  # Python package
elif ! $programs_alone; then
  packages+=(python3-dev doctest-dev zlib1g-dev liblzma-dev libbrotli-dev)  # Python package, tests, benchmarks
fi
if [ "${1:-}" = "--test" ]; then
  packages+=(clang libclang-rt-dev libpng-dev)  # fuzzing; reading probe pictures
  if command -v dpkg >/dev/null && [ "$(dpkg --print-architecture)" = amd64 ]; then
    packages+=(g++-aarch64-linux-gnu qemu-user libzstd-dev:arm64 libfmt-dev:arm64)  # tests on 64-bit Arm
  fi
  if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
    packages+=(chromium)  # tests of the server's page; Ubuntu has it as a snap alone
  fi
fi

[ "${1:-}" != "--docs" ] || packages=(doxygen python3 python3-venv)  # of scripts/docs.sh
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
    [[ "${missing[*]}" != *:arm64* ]] || $sudo dpkg --add-architecture arm64
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  fi
else
  echo "Not a Debian-like machine: make sure that the equivalents of these packages are there:"
  echo "  ${packages[*]}"
fi
[ "${1:-}" != "--docs" ] || exit 0

# What Python needs, as "module:requirement".
python_packages=(numpy:'numpy>=1.26,<3' matplotlib:'matplotlib>=3.8,<4')
if [[ "${1:-}" == --onnx || "${1:-}" == --executorch || "${1:-}" == --test ]]; then
  python_packages+=(onnx:'onnx>=1.16,<2' onnxruntime:'onnxruntime>=1.20,<2')
fi
if ! $programs_alone; then
  python_packages+=(tqdm:'tqdm>=4.66,<5')
fi
if [ "${1:-}" = "--test" ] || { ! $programs_alone && [ -z "${AMS_PYTHON:-}" ]; }; then
  python_packages+=(cv2:'opencv-python-headless>=4.8,<6')  # experiments
fi
if [ "${1:-}" = "--test" ]; then
  python_packages+=(pytest:'pytest>=8,<10' pycocotools:'pycocotools>=2.0.8,<3' pybind11_stubgen:'pybind11-stubgen==3.0.0'
    mypy:'mypy>=1.18,<2'
    nbclient:'nbclient>=0.10,<1' nbformat:'nbformat>=5.10,<6' ipykernel:'ipykernel>=6.29,<8'
    scikit_build_core:'scikit-build-core>=0.11,<2' pybind11:'pybind11>=2.13,<4'
    transformers:'transformers>=4.49,<6')
fi
# What else its wheel asks for is for other processors and for tests.
executorch_packages=()
if [ "${1:-}" = "--executorch" ]; then
  executorch_packages=(executorch:executorch==1.5.1 torchao:torchao==0.18.0 flatbuffers:flatbuffers tabulate:tabulate
    yaml:pyyaml ruamel.yaml:ruamel.yaml)
fi
fetch_runtimes() {  # fetch_runtimes <flag> <python>: the libraries of devices
  case ${1:-} in --demo) ;; --executorch) scripts/executorch.sh "$2" ;; *) scripts/onnxruntime.sh "$2" ;; esac
}
find_missing() {  # find_missing <python>: sets `wanted` to the requirements that it lacks
  wanted=()
  for package in "${python_packages[@]}"; do
    "$1" -c "import importlib.util as u, sys; sys.exit(u.find_spec('${package%%:*}') is None)" 2>/dev/null ||
      wanted+=("${package#*:}")
  done
}
if [ -n "${AMS_PYTHON:-}" ]; then
  "$AMS_PYTHON" -c 'import torch' || {
    echo "error: AMS_PYTHON=$AMS_PYTHON needs torch >= 2.7" >&2
    exit 1
  }
  python_packages+=("${executorch_packages[@]}")
  find_missing "$AMS_PYTHON"
  if [ ${#wanted[@]} -gt 0 ]; then
    echo "error: AMS_PYTHON=$AMS_PYTHON lacks: ${wanted[*]}" >&2
    exit 1
  fi
  fetch_runtimes "${1:-}" "$AMS_PYTHON"
  exit 0
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  echo "Preparing .venv with ${AMS_TORCH:-torch==2.13.0}"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${AMS_TORCH:-torch==2.13.0}"
fi
find_missing .venv/bin/python
if [ ${#wanted[@]} -gt 0 ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${wanted[@]}"
fi
if [ "${1:-}" = "--test" ] && ! .venv/bin/python -m pip show --quiet torchvision 2>/dev/null; then
  # torchvision 0.(n + 15) belongs to torch 2.n. Alone: it would bring another build of torch.
  release=$(.venv/bin/python -c 'import torch; print(int(torch.__version__.split(".")[1]) + 15)')
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    "torchvision==0.$release.*" || echo "No torchvision 0.$release: its tests are skipped"
fi
python_packages=("${executorch_packages[@]}")
find_missing .venv/bin/python
if [ ${#wanted[@]} -gt 0 ]; then
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "${wanted[@]}"
fi
fetch_runtimes "${1:-}" .venv/bin/python
