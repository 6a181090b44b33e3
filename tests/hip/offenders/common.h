// What offenders start with. Each is compiled and must fail the check that it is named after, and
// no other: see offenders_test.py, which reads the lines
//   // target: gfx942           what it is compiled for, a line each
//   // declared: KINDS WAVES LDS   its line of tools/gpu/expectations
//   // holds: REGEX             what its disassembly must hold
//   // found: REGEX             what the check must say; all lines together must be all it says
#pragma once

#include <hip/hip_runtime.h>

#include <cstdint>

using Words4 = std::uint32_t __attribute__((ext_vector_type(4)));
using Floats4 = float __attribute__((ext_vector_type(4)));
using Shorts4 = short __attribute__((ext_vector_type(4)));
