# Builds for 64-bit ARM on another machine: Debian's cross compiler, libraries that
# tools/arm/fetch_sysroot has unpacked, and qemu to run what was built. `./dev arm` cares for all three.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(root "$ENV{MILLRACE_ARM_PREFIX}")
if(NOT root)
  set(root "$ENV{HOME}/.cache/millrace/arm64")
endif()
if(NOT EXISTS ${root}/.packages)
  message(FATAL_ERROR "no libraries for ARM in ${root}: tools/arm/fetch_sysroot brings them")
endif()
set(CMAKE_SYSROOT ${root})
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# An emulated processor with everything that some processor has.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -cpu max -L ${root})

set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)
