// The kernels behind machine_ceilings.cc on a GPU, as the backend that MILLRACE_GPU names compiled
// them.
#pragma once

#include <cstdint>

#include "device/device.h"

namespace millrace::MILLRACE_GPU {

// `bytes` are a multiple of 16. `sink` is never written, but that cannot be known.
void read_memory(const void* from, std::int64_t bytes, std::uint32_t* sink, Stream& stream);
void copy_memory(const void* from, void* to, std::int64_t bytes, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
