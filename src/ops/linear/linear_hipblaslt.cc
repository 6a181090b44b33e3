#include "device/hip/hip_stream.h"
#include "ops/linear/linear_library.h"
#include "ops/linear/linear_mfma.h"

namespace millrace::hip {
namespace {

bool run_hipblaslt(const LinearParams& p, HipStream& stream) {
  if (p.bias || p.weight.dtype != DType::BF16 || p.in.dtype != DType::BF16) return false;
  // The library adds to what is there: our residual is always the output itself.
  const bool adds = p.residual.data != nullptr;
  if (adds && (p.residual.data != p.out.data || p.residual.stride != p.out.stride)) return false;
  BlasLt* blas = stream.blas();
  return blas && blas->multiply({.rows = p.rows,
                                 .n = p.out.columns,
                                 .k = p.in.columns,
                                 .in_stride = p.in.stride,
                                 .out_stride = p.out.stride,
                                 .out = p.out.dtype,
                                 .adds = adds},
                                p.in.data, p.weight.data, p.out.data, stream.handle());
}

}  // namespace

bool run_linear_library(const LinearParams& p, Stream& stream) {
  return run_hipblaslt(p, static_cast<HipStream&>(stream)) || run_linear_mfma(p, stream);
}

}  // namespace millrace::hip
