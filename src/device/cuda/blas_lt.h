// cuBLASLt, loaded at run time where it is installed: large matrix products. The program neither
// links nor ships it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <string>

#include "device/gpu/gemm_shape.h"

namespace millrace::cuda {

class BlasLt {
 public:
  // Null, with the reason, where the library cannot be loaded.
  static std::unique_ptr<BlasLt> load(std::string& why_not);
  virtual ~BlasLt() = default;

  // Queues the product; false where the library has no way to do it. The way is looked up at the
  // first call for a shape. Never allocates device memory after load().
  virtual bool multiply(const GemmShape& shape, const void* in, const void* weight, void* out,
                        cudaStream_t stream) = 0;
};

}  // namespace millrace::cuda
