#include <cstdint>

#include "device/cuda/cuda_stream.h"
#include "ops/hopper/hopper_plan.h"
#include "ops/hopper/split_product.h"
#include "ops/linear/library_shape.h"
#include "ops/linear/linear_library.h"

namespace millrace::cuda {
namespace {

// Few rows and columns: our own kernel is ahead of the library.
bool run_split(const GemmShape& g, const LinearParams& p, CudaStream& stream) {
  const auto aligned = [](const void* data) {
    return reinterpret_cast<std::uintptr_t>(data) % 16 == 0;
  };
  if (!stream.is_hopper() || !hopper::split_fits(g.n, g.rows, stream.multiprocessors()) ||
      g.n % 8 != 0 || g.k % 8 != 0 || g.in_stride % 8 != 0 || !aligned(p.in.data) ||
      !aligned(p.weight.data) || (g.adds && g.out != DType::F32))
    return false;
  hopper::run_split_product({.weight = p.weight.as<BF16>(),
                             .n = g.n,
                             .k = g.k,
                             .in = static_cast<const BF16*>(p.in.data),
                             .in_stride = g.in_stride,
                             .rows = g.rows,
                             .out = p.out,
                             .adds = g.adds},
                            stream);
  return true;
}

}  // namespace

bool run_linear_library(const LinearParams& p, Stream& stream) {
  const std::optional<GemmShape> shape = library_shape(p);
  if (shape && run_split(*shape, p, static_cast<CudaStream&>(stream))) return true;
  BlasLt* blas = static_cast<CudaStream&>(stream).blas();
  return shape && blas &&
         blas->multiply(*shape, p.in.data, p.weight.data, p.out.data, handle_of(stream));
}

}  // namespace millrace::cuda
