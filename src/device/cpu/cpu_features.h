// Instruction sets of a CPU, as far as kernels differ by them.
#pragma once

#include <string>

namespace millrace {

struct CpuFeatures {
  std::string model;    // "AMD EPYC 9354 32-Core Processor"
  bool avx2 = false;    // with FMA, F16C and BMI2
  bool avx512 = false;  // F, BW, DQ, VL
  bool avx512_bf16 = false;
  // Products of BF16 pairs go at twice the rate of floats', as AMD's do by its tables; Intel's
  // (Emerald Rapids, measured) go at half.
  bool avx512_bf16_is_fast = false;
  bool avx512_vnni = false;
  bool amx_bf16 = false;  // present, and the operating system has given leave
  bool amx_int8 = false;
  bool neon = false;
  bool neon_dot = false;
  bool neon_bf16 = false;

  bool operator==(const CpuFeatures&) const = default;
};

// Asks the processor and, for wide registers, what the operating system saves.
CpuFeatures detect_cpu_features();

// "avx2 avx512 avx512_bf16"
std::string to_string(const CpuFeatures& features);

}  // namespace millrace
