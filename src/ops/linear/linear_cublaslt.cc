#include "device/cuda/cuda_stream.h"
#include "ops/linear/library_shape.h"
#include "ops/linear/linear_library.h"

namespace millrace::cuda {

bool run_linear_library(const LinearParams& p, Stream& stream) {
  const std::optional<GemmShape> shape = library_shape(p);
  BlasLt* blas = static_cast<CudaStream&>(stream).blas();
  return shape && blas &&
         blas->multiply(*shape, p.in.data, p.weight.data, p.out.data, handle_of(stream));
}

}  // namespace millrace::cuda
