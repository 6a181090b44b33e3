#include "device/cuda/cuda_stream.h"
#include "ops/linear/linear_library.h"

namespace millrace::cuda {

bool run_linear_library(const LinearParams& p, Stream& stream) {
  if (p.bias || p.weight.dtype != DType::BF16 || p.in.dtype != DType::BF16) return false;
  // The library adds to what is there: our residual is always the output itself.
  const bool adds = p.residual.data != nullptr;
  if (adds && (p.residual.data != p.out.data || p.residual.stride != p.out.stride)) return false;
  BlasLt* blas = static_cast<CudaStream&>(stream).blas();
  return blas && blas->multiply({.rows = p.rows,
                                 .n = p.out.columns,
                                 .k = p.in.columns,
                                 .in_stride = p.in.stride,
                                 .out_stride = p.out.stride,
                                 .out = p.out.dtype,
                                 .adds = adds},
                                p.in.data, p.weight.data, p.out.data, handle_of(stream));
}

}  // namespace millrace::cuda
