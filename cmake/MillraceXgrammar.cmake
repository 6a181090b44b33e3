# XGrammar's source, as tools/fetch_xgrammar lays it down; ./dev calls that before it configures.
# Without it everything builds all the same, and answers cannot be constrained.
set(MILLRACE_XGRAMMAR "$ENV{MILLRACE_XGRAMMAR}" CACHE PATH
  "Folder with XGrammar's source; empty: where tools/fetch_xgrammar puts it")
set(xgrammar_folder "${MILLRACE_XGRAMMAR}")
if(NOT xgrammar_folder)
  set(xgrammar_folder "$ENV{HOME}/.cache/millrace/xgrammar-0.2.8")
endif()
# Looked at again by every build, so that one that came first picks it up later.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${xgrammar_folder}/.complete")

set(MILLRACE_HAS_XGRAMMAR OFF)
# Of the fuzzers only those of schemas and grammars reach it.
option(MILLRACE_FUZZ_CONSTRAINTS "Fuzzers of schemas and grammars" OFF)
if(MILLRACE_FUZZERS AND NOT MILLRACE_FUZZ_CONSTRAINTS)
  message(STATUS "XGrammar: left out, no fuzzer needs it")
elseif(EXISTS "${xgrammar_folder}/.complete")
  set(MILLRACE_HAS_XGRAMMAR ON)
  file(GLOB_RECURSE xgrammar_sources "${xgrammar_folder}/cpp/*.cc")
  list(FILTER xgrammar_sources EXCLUDE REGEX "/cpp/tvm_ffi/")
  # Objects that become part of the room above them: nothing more to install.
  add_library(xgrammar OBJECT ${xgrammar_sources})
  target_include_directories(xgrammar SYSTEM PUBLIC ${xgrammar_folder}/include
    ${xgrammar_folder}/3rdparty/picojson ${xgrammar_folder}/3rdparty/dlpack/include)
  # Where its messages go is ours to say.
  target_compile_definitions(xgrammar PRIVATE XGRAMMAR_LOG_CUSTOMIZE=1 XGRAMMAR_ENABLE_CPPTRACE=0)
  target_compile_options(xgrammar PRIVATE -w)
  # -O3 and UBSan take it minutes a source.
  if(MILLRACE_SANITIZE)
    target_compile_options(xgrammar PRIVATE -O1 -fno-sanitize=undefined)
  else()
    target_compile_options(xgrammar PRIVATE -O2)
  endif()
  set_target_properties(xgrammar PROPERTIES CXX_STANDARD 17 EXPORT_COMPILE_COMMANDS OFF)
  message(STATUS "XGrammar: ${xgrammar_folder}")
else()
  message(STATUS "XGrammar: not found (tools/fetch_xgrammar): answers cannot be constrained")
endif()
