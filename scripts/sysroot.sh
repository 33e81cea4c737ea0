#!/usr/bin/env bash
# Unpacks libraries and headers of another architecture into .cache/sysroot-ARCHITECTURE, to cross-build a device; from
# the mirror that this machine uses. Installs nothing. Does nothing where the folder is there.
#
#   scripts/sysroot.sh [ARCHITECTURE [PACKAGE...]]
#     ARCHITECTURE   as Debian names it; default: arm64
#     PACKAGE        default: what preset aarch64-device needs
#
#   scripts/sysroot.sh && scripts/onnxruntime.sh python3 aarch64
#   cmake --preset aarch64-device && cmake --build --preset aarch64-device && ctest --preset aarch64-device
set -euo pipefail
cd "$(dirname "$0")/.."
architecture=${1:-arm64}
shift $(($# < 1 ? $# : 1))
packages=("$@")
[ $# -gt 0 ] || packages=(libzstd-dev libfmt-dev libzip-dev libssl-dev libboost-dev libflatbuffers-dev libx264-dev
  libavcodec-dev libavformat-dev libavdevice-dev libavutil-dev libswscale-dev)
place=$PWD/.cache/sysroot-$architecture
[ ! -e "$place" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/root
: >"$work/status"
. /etc/os-release
uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
  grep -v security | head -n 1)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [arch=$architecture$([ ! -e $keyring ] || echo " signed-by=$keyring")] $uri $VERSION_CODENAME main" \
  >"$work/sources.list"
# As if on a machine of that architecture where nothing is installed.
options=(-qq -o "APT::Architecture=$architecture" -o "APT::Architectures::=$architecture"
  -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists"
  -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)"
  -o "Acquire::Languages=none" -o Debug::NoLocking=true)
echo "Fetching libraries of $architecture"
apt-get "${options[@]}" update
apt-get "${options[@]}" install --download-only --no-install-recommends --yes "${packages[@]}" >/dev/null
for package in "$work"/cache/archives/*.deb; do
  case ${package##*/} in
    libc6-dev_* | linux-libc-dev_* | libcrypt-dev_* | libstdc++-*-dev_* | libgcc-*-dev_*) ;;  # the compiler's own
    *) dpkg-deb -x "$package" "$work/root" ;;
  esac
done
# One folder of headers, as on any other system.
for headers in "$work"/root/usr/include/*-linux-gnu*; do
  [ ! -d "$headers" ] || cp -r "$headers"/. "$work/root/usr/include"
done
# A program of that architecture, which is not there: the build takes this machine's flatc.
rm -f "$work"/root/usr/lib/*/cmake/flatbuffers/FlatcTargets.cmake
rm -rf "$work"/root/{etc,var,boot,bin,sbin} "$work"/root/usr/{bin,sbin,games} \
  "$work"/root/usr/share/{doc,man,locale,icons,info,fonts}
if [ "$architecture" = arm64 ]; then
  # qemu-user shows this machine's processors otherwise, which ONNX Runtime does not survive.
  mkdir "$work/root/proc"
  for ((i = 0; i < $(nproc); ++i)); do
    printf 'processor\t: %d\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\n' "$i"
    printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
  done >"$work/root/proc/cpuinfo"
fi
mkdir -p "${place%/*}"
mv "$work/root" "$place"
