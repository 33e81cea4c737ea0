# Toolchain for 64-bit Arm on another machine: Debian's cross compiler, and qemu to run what it makes. Packages:
# g++-aarch64-linux-gnu, qemu-user, libzstd-dev:arm64, libfmt-dev:arm64 (scripts/setup.sh --test).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-libstdc++ -static-libgcc")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)

# AMS_SYSROOT: what scripts/sysroot.sh has unpacked, for the rooms with libraries (preset aarch64-device).
if(AMS_SYSROOT)
  list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AMS_SYSROOT)
  set(_libraries ${AMS_SYSROOT}/usr/lib/aarch64-linux-gnu)
  set(ENV{PKG_CONFIG_LIBDIR} ${_libraries}/pkgconfig)
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${AMS_SYSROOT})
  set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
  list(PREPEND CMAKE_PREFIX_PATH ${AMS_SYSROOT}/usr)
  set(_where -Wl,-rpath-link,${_libraries}:${AMS_SYSROOT}/lib/aarch64-linux-gnu)
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " ${_where}")
  string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " ${_where}")
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu cortex-a72 -L ${AMS_SYSROOT})
endif()
