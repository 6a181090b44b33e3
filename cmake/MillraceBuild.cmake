# Compiler settings and the four verbs every room's CMakeLists.txt is written in:
# millrace_room, millrace_isa_sources, millrace_test and millrace_fuzzer.
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# a*b+c stays two roundings unless a kernel's source set asks for more: reference code must give
# the same bits on every architecture.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)

add_library(millrace_options INTERFACE)
target_compile_options(millrace_options INTERFACE
  # Designated initialisers leave out members on purpose: those have defaults.
  -Wall -Wextra -Wno-missing-field-initializers -Wpedantic -Wshadow -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms about std::string's operator+ in GCC 12 and 13 (GCC bug 105651).
  target_compile_options(millrace_options INTERFACE -Wno-restrict)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Statement expressions carry MILLRACE_TRY; both compilers we support have them.
  target_compile_options(millrace_options INTERFACE -Wno-gnu-statement-expression)
endif()
if(MILLRACE_SANITIZE)
  add_compile_options(-fsanitize=${MILLRACE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MILLRACE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # What GCC 12 instruments it no longer sees through: frames of Asio's coroutines are mismatched to
    # it, members of std::regex uninitialised. The other builds have these warnings.
    add_compile_options(-Wno-mismatched-new-delete -Wno-maybe-uninitialized)
  endif()
  if(MILLRACE_SANITIZE MATCHES thread)
    # TSan knows no fences; Asio's own switch leaves out those that its locks make superfluous.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
if(MILLRACE_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# millrace_room(NAME SOURCES a.cc ... [DEPS room ...] [LIBS library ...])
# One folder, one static library. DEPS name rooms, and only rooms below (tests/check_imports checks).
function(millrace_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(millrace_${name} STATIC ${ARG_SOURCES})
  add_library(millrace::${name} ALIAS millrace_${name})
  target_include_directories(millrace_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
    # Consumers write <millrace/engine/engine.h>; headers name each other "engine/load.h".
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/millrace>)
  set_target_properties(millrace_${name} PROPERTIES EXPORT_NAME ${name})
  list(TRANSFORM ARG_DEPS PREPEND millrace_)
  target_link_libraries(millrace_${name} PUBLIC ${ARG_DEPS} ${ARG_LIBS}
    PRIVATE $<BUILD_INTERFACE:millrace_options>)
  set_property(GLOBAL APPEND PROPERTY MILLRACE_ROOMS millrace_${name})
endfunction()

# millrace_isa_sources(TARGET SOURCES a.cc ... ISAS avx2 ...)
# Compiles each source once per instruction set, with MILLRACE_ISA naming it. Such a source keeps
# everything in namespace MILLRACE_ISA and includes no header with inline functions other code may
# share, so that the linker cannot pick an AVX-512 copy of a common function for an older machine.
function(millrace_isa_sources target)
  cmake_parse_arguments(ARG "" "" "SOURCES;ISAS" ${ARGN})
  set(flags_baseline "")
  set(flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
  set(flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mbmi2
    -mprefer-vector-width=512)
  # simd.h knows these as AVX-512.
  set(flags_avx512_vnni ${flags_avx512} -mavx512vnni -DMILLRACE_ISA_avx512=1)
  set(flags_avx512_bf16 ${flags_avx512} -mavx512bf16 -DMILLRACE_ISA_avx512=1)
  set(flags_amx ${flags_avx512} -mamx-tile -mamx-int8 -mamx-bf16 -DMILLRACE_ISA_avx512=1)
  set(flags_amx_emulated ${flags_avx512} -DMILLRACE_ISA_avx512=1)
  set(flags_neon_dot -march=armv8.2-a+dotprod)
  set(flags_neon_bf16 -march=armv8.2-a+bf16)
  # Everything is inlined here: with sanitizers -O3 would take minutes and gigabytes a source.
  set(level -O3)
  if(MILLRACE_FUZZERS)  # they parse and do not compute: clang 14 took eight minutes for one source
    set(level -O1 -fno-sanitize=all)
  elseif(MILLRACE_SANITIZE)
    set(level -O1)
  endif()
  foreach(isa IN LISTS ARG_ISAS)
    if(TARGET ${target}_${isa})
      target_sources(${target}_${isa} PRIVATE ${ARG_SOURCES})
      continue()
    endif()
    add_library(${target}_${isa} OBJECT ${ARG_SOURCES})
    target_include_directories(${target}_${isa} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(${target}_${isa} PRIVATE MILLRACE_ISA=${isa} MILLRACE_ISA_${isa}=1)
    # The linked options come first, so that what is switched off here stays off: GCC 12's own
    # AVX-512 headers set off the warnings about uninitialised values (GCC bug 105593).
    target_link_libraries(${target}_${isa} PRIVATE millrace_options)
    target_compile_options(${target}_${isa} PRIVATE ${flags_${isa}} ${level}
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-uninitialized>)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${isa}>)
  endforeach()
endfunction()

# millrace_test(NAME SOURCES a_test.cc ... DEPS room ... [LIBS library ...] [LABEL unit])
function(millrace_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT;SHARDS" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND millrace_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE MILLRACE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_LIBS} GTest::gtest GTest::gmock
    GTest::gtest_main millrace_options)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  if(NOT ARG_SHARDS)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABEL}")
    return()
  endif()
  math(EXPR last "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last})
    add_test(NAME ${name}_${shard} COMMAND ${name})
    set_tests_properties(${name}_${shard} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABEL}"
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()

# millrace_fuzzer(NAME SOURCES a.cc DEPS room ...)
function(millrace_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPS PREPEND millrace_)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} millrace_options)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set_property(GLOBAL APPEND PROPERTY MILLRACE_FUZZER_TARGETS ${name})
endfunction()
