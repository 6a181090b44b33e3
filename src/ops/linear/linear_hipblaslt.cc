#include "device/hip/hip_stream.h"
#include "ops/linear/library_shape.h"
#include "ops/linear/linear_library.h"
#include "ops/linear/linear_mfma.h"

namespace millrace::hip {
namespace {

bool run_hipblaslt(const LinearParams& p, HipStream& stream) {
  const std::optional<GemmShape> shape = library_shape(p);
  BlasLt* blas = stream.blas();
  return shape && blas &&
         blas->multiply(*shape, p.in.data, p.weight.data, p.out.data, stream.handle());
}

}  // namespace

bool run_linear_library(const LinearParams& p, Stream& stream) {
  return run_hipblaslt(p, static_cast<HipStream&>(stream)) || run_linear_mfma(p, stream);
}

}  // namespace millrace::hip
