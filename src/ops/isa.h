// The instruction sets that CPU kernels are compiled for, and when each may run.
#pragma once

#include <string>

#include "device/device.h"

namespace millrace {

enum class Isa { Baseline, Avx2, Avx512 };

// Empty if the processor has it, else what is missing: for KernelSpec::rejects.
inline std::string missing_isa(Isa isa, const DeviceTraits& traits) {
  if (isa == Isa::Avx2 && !traits.cpu.avx2) return "the processor has no AVX2 with FMA and F16C";
  if (isa == Isa::Avx512 && !traits.cpu.avx512) return "the processor has no AVX-512 F, BW, DQ, VL";
  return {};
}

// Floats in a vector register.
constexpr int lanes_of(Isa isa) {
  return isa == Isa::Avx512 ? 16 : isa == Isa::Avx2 ? 8 : 4;
}

// Elements below which handing work to other threads costs more than doing it (about 10 us).
constexpr std::int64_t kWorthSharing = 1 << 15;

}  // namespace millrace
