# Kernels for AMD GPUs: compiled by a clang of their own, one fat object a source for all targets.
# Host code needs nothing of ROCm: the runtime is looked for when the program runs.
#
# The compiler and the HIP headers come from ROCM_PATH (ROCm's packages, e.g. /opt/rocm) or from
# MILLRACE_HIP_PREFIX (what tools/gpu/fetch_hip unpacked); `./dev hip` cares for that.
option(MILLRACE_HIP "Compile the kernels for AMD GPUs" OFF)
set(MILLRACE_HIP_ARCHS gfx942 gfx950 CACHE STRING "AMD targets: MI300X and MI325X, MI350X and MI355X")
set(MILLRACE_HIP_PREFIX "$ENV{MILLRACE_HIP_PREFIX}" CACHE PATH "Where tools/gpu/fetch_hip unpacked")

set(MILLRACE_HAS_HIP ${MILLRACE_HIP})
if(MILLRACE_HAS_HIP)
  set(rocm "$ENV{ROCM_PATH}")
  if(MILLRACE_HIP_PREFIX)
    set(MILLRACE_HIP_COMPILER ${MILLRACE_HIP_PREFIX}/bin/clang++)
    set(root ${MILLRACE_HIP_PREFIX}/usr)
    set(MILLRACE_HIP_FLAGS --hip-path=${root} --rocm-path=${root}
      --rocm-device-lib-path=${root}/lib/llvm-22/lib/clang/22/amdgcn/bitcode)
  elseif(rocm)
    set(MILLRACE_HIP_COMPILER ${rocm}/llvm/bin/clang++)
    set(MILLRACE_HIP_FLAGS --rocm-path=${rocm} --hip-path=${rocm})
  else()
    message(FATAL_ERROR "MILLRACE_HIP=ON: set ROCM_PATH, or MILLRACE_HIP_PREFIX (./dev hip does)")
  endif()
  if(NOT EXISTS ${MILLRACE_HIP_COMPILER})
    message(FATAL_ERROR "MILLRACE_HIP=ON: no ${MILLRACE_HIP_COMPILER}")
  endif()
  list(APPEND MILLRACE_HIP_FLAGS -x hip -std=c++20 -O3 -fPIC --no-offload-new-driver -Wall -Wextra -Wno-missing-field-initializers -Werror)
endif()
message(STATUS "HIP backend: ${MILLRACE_HAS_HIP}")

# millrace_hip_object(SOURCE OBJECT [flag ...]): a command that compiles SOURCE.
function(millrace_hip_object source object)
  # A name of its own for each source's code, the same wherever the sources lie.
  get_filename_component(name ${source} NAME_WE)
  file(RELATIVE_PATH shown ${PROJECT_SOURCE_DIR} ${source})
  add_custom_command(OUTPUT ${object}
    COMMAND ${CCACHE_PROGRAM} ${MILLRACE_HIP_COMPILER} ${MILLRACE_HIP_FLAGS} ${ARGN} -cuid=${name}
      -I${PROJECT_SOURCE_DIR}/src -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source} ${MILLRACE_HIP_COMPILER} DEPFILE ${object}.d
    COMMENT "Compiling ${shown} for AMD" VERBATIM)
endfunction()

# All objects with GPU code, without what they are linked into: `./dev hip-report`.
if(MILLRACE_HAS_HIP)
  add_custom_target(hip_kernels)
endif()

# Adds a TARGET's kernels for AMD to it: hip_SOURCE.o in its build folder, which
# tools/gpu/check_kernels reads.
function(millrace_hip_kernels target)
  set(targets ${MILLRACE_HIP_ARCHS})
  list(TRANSFORM targets PREPEND --offload-arch=)
  foreach(source IN LISTS ARGN)
    get_filename_component(name ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/hip_${name}.o)
    millrace_hip_object(${CMAKE_CURRENT_SOURCE_DIR}/${source} ${object} -DMILLRACE_GPU=hip
      ${targets})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
    target_sources(${target} PRIVATE ${object})
    list(APPEND objects ${object})
  endforeach()
  add_custom_target(${target}_hip_kernels DEPENDS ${objects})
  add_dependencies(hip_kernels ${target}_hip_kernels)
  add_dependencies(${target} ${target}_hip_kernels)  # so that one rule makes them
endfunction()
