# Toolchain for 64-bit Arm on another machine: Debian's cross compiler, and qemu to run what it makes. Packages:
# g++-aarch64-linux-gnu, qemu-user, libzstd-dev:arm64, libfmt-dev:arm64 (scripts/setup.sh --test).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-libstdc++ -static-libgcc")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig)
