// What the ops' GPU kernels have in common where they are chosen. Compiled once a backend:
// MILLRACE_GPU names it.
#pragma once

#include <string>
#include <string_view>

#include "device/device.h"
#include "tensor/dtype.h"

namespace millrace::cuda {
constexpr Backend kGpuBackend = Backend::Cuda;
}
namespace millrace::hip {
constexpr Backend kGpuBackend = Backend::Hip;
}
namespace millrace::emulated {
constexpr Backend kGpuBackend = Backend::Emulated;
}

namespace millrace::MILLRACE_GPU {

// Activations on a GPU are F32 or BF16; the residual stream, norms' inputs and logits always F32.
inline std::string gpu_activation_problem(DType activation) {
  if (activation == DType::F32 || activation == DType::BF16) return {};
  return "GPU kernels compute with F32 or BF16 activations";
}

}  // namespace millrace::MILLRACE_GPU
