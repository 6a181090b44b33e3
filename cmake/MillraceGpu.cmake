# GPU code: one set of *_gpu.cu sources, compiled for every backend that this build has: CUDA where its
# compiler is found, the emulated ones unless they are switched off; otherwise a stub is linked that
# has no kernels, so that nothing above asks what was built.
option(MILLRACE_EMULATED "GPU kernels on the host, which only tests and --device emulated need" ON)
set(MILLRACE_CUDA AUTO CACHE STRING "NVIDIA backend: AUTO (where nvcc is found), ON or OFF")
set(MILLRACE_CUDA_ARCHS 90a 100a 103a CACHE STRING "NVIDIA targets: Hopper, B200, B300")

set(MILLRACE_HAS_CUDA FALSE)
if(NOT MILLRACE_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_ARCHITECTURES OFF)  # spelled out below: CMake 3.25 does not know 103a
    if(CCACHE_PROGRAM AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
    enable_language(CUDA)
    # CMake 3.25 does not know either how nvcc is asked for C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    find_package(CUDAToolkit REQUIRED)
    set(MILLRACE_HAS_CUDA TRUE)
  elseif(MILLRACE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MILLRACE_CUDA=ON, but no CUDA compiler was found (set CUDACXX to nvcc)")
  endif()
endif()
message(STATUS "CUDA backend: ${MILLRACE_HAS_CUDA}")

# AMD: see MillraceHip.cmake. Without it the kernels for AMD are built for the emulation, like those
# for NVIDIA.
include(MillraceHip)

# millrace_gpu_sources(TARGET OPS rms_norm ... [SOURCES linear/linear_stream ...]
#                      [NVIDIA attention/attention_flash ...] [AMD attention/attention_mfma ...]
#                      [CUDA cuda_only.cc ...] [CUDA_KERNELS cuda_only.cu ...]
#                      [SM90_KERNELS hopper_only.cu ...]
#                      [HIP hip_only.cc ...] [EMULATED instead.cc ...] [EMULATED_AMD instead.cc ...])
# OP/OP_gpu.cu holds kernels (no header with fmt in it: nvcc cannot read that), OP/OP_gpu.cc says
# what they can do; both are compiled once a backend, with MILLRACE_GPU naming it.
# SOURCES are further .cu and .cc of the same name; NVIDIA's and AMD's are those that only its GPUs,
# and the emulation of them, can run.
# gpu_absent.cc is compiled in their place where this build lacks CUDA.
function(millrace_gpu_sources target)
  cmake_parse_arguments(ARG "" ""
    "OPS;SOURCES;NVIDIA;AMD;CUDA;CUDA_KERNELS;SM90_KERNELS;HIP;EMULATED;EMULATED_AMD" ${ARGN})
  set(common ${ARG_OPS})
  list(TRANSFORM common REPLACE "(.+)" "\\1/\\1_gpu")
  list(APPEND common ${ARG_SOURCES})
  set(rules "")
  foreach(source IN LISTS common)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source}.cc)
      list(APPEND rules ${source}.cc)
    endif()
  endforeach()
  set(kernels ${common} ${ARG_NVIDIA})
  list(TRANSFORM kernels APPEND ".cu")
  set(amd_kernels ${common} ${ARG_AMD})
  list(TRANSFORM amd_kernels APPEND ".cu")

  if(MILLRACE_EMULATED)
    millrace_emulated_sources(${target} emulated 32 ${kernels})
    target_sources(${target}_emulated PRIVATE ${rules} ${ARG_EMULATED})
  else()
    millrace_backend_sources(${target} emulated gpu_absent.cc)
  endif()
  if(MILLRACE_HAS_HIP)
    millrace_backend_sources(${target} hip ${rules} ${ARG_HIP})
    millrace_hip_kernels(${target} ${amd_kernels})
  elseif(NOT MILLRACE_EMULATED)
    millrace_backend_sources(${target} hip gpu_absent.cc)
  else()
    millrace_emulated_sources(${target} hip 64 ${amd_kernels})
    target_sources(${target}_hip PRIVATE ${rules} ${ARG_EMULATED_AMD})
  endif()

  if(MILLRACE_HAS_CUDA)
    millrace_backend_sources(${target} cuda ${rules} ${ARG_CUDA})
    target_link_libraries(${target}_cuda PRIVATE CUDA::cudart_static)
    millrace_nvcc_sources(${target} nvcc "${MILLRACE_CUDA_ARCHS}" ${kernels} ${ARG_CUDA_KERNELS})
    millrace_nvcc_sources(${target} nvcc_sm90 90a ${ARG_SM90_KERNELS})
  else()
    millrace_backend_sources(${target} cuda gpu_absent.cc)
  endif()
endfunction()

# Kernels compiled by nvcc for these targets.
function(millrace_nvcc_sources target name archs)
  add_library(${target}_${name} OBJECT ${ARGN})
  target_compile_definitions(${target}_${name} PRIVATE MILLRACE_GPU=cuda)
  target_include_directories(${target}_${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  set(flags --expt-relaxed-constexpr -lineinfo --threads=2 --Werror=all-warnings
    -Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-Werror)
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 12.8)
    list(APPEND flags --compress-mode=size)  # a sixth of the default's, and quick to unpack
  endif()
  foreach(arch IN LISTS archs)
    list(APPEND flags -gencode=arch=compute_${arch},code=sm_${arch})
  endforeach()
  target_compile_options(${target}_${name} PRIVATE ${flags})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${name}>)
endfunction()

# Kernels compiled by the host's compiler, for waves of so many lanes.
function(millrace_emulated_sources target backend lanes)
  set(wrappers "")
  foreach(source IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "${source}" id)
    set(wrapper ${CMAKE_CURRENT_BINARY_DIR}/${backend}_${id}.cc)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n")
    list(APPEND wrappers ${wrapper})
  endforeach()
  millrace_backend_sources(${target} ${backend} ${wrappers})
  target_compile_definitions(${target}_${backend} PRIVATE MILLRACE_GPU_EMULATED=${lanes})
  # `#pragma unroll` is for GPUs: GCC does not know it, clang reports each one it does not follow.
  target_compile_options(${target}_${backend} PRIVATE
    $<IF:$<CXX_COMPILER_ID:Clang>,-Wno-pass-failed,-Wno-unknown-pragmas>)
endfunction()

# C++ sources of one backend.
function(millrace_backend_sources target backend)
  add_library(${target}_${backend} OBJECT ${ARGN})
  target_compile_definitions(${target}_${backend} PRIVATE MILLRACE_GPU=${backend})
  target_include_directories(${target}_${backend} PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target}_${backend} PRIVATE millrace_options)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${backend}>)
endfunction()
