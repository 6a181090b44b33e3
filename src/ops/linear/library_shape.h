// Which products the vendors' libraries are asked for.
#pragma once

#include <optional>

#include "device/gpu/gemm_shape.h"
#include "ops/linear/linear_params.h"

namespace millrace {

// Nothing where they do not do what is wanted.
std::optional<GemmShape> library_shape(const LinearParams& params);

}  // namespace millrace
