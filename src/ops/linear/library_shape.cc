#include "ops/linear/library_shape.h"

namespace millrace {

std::optional<GemmShape> library_shape(const LinearParams& p) {
  if (p.bias || p.weight.dtype != DType::BF16 || p.in.dtype != DType::BF16) return {};
  // The library adds to what is there: our residual is always the output itself.
  const bool adds = p.residual.data != nullptr;
  if (adds && (p.residual.data != p.out.data || p.residual.stride != p.out.stride)) return {};
  return GemmShape{.rows = p.rows,
                   .n = p.out.columns,
                   .k = p.in.columns,
                   .in_stride = p.in.stride,
                   .out_stride = p.out.stride,
                   .out = p.out.dtype,
                   .adds = adds};
}

}  // namespace millrace
