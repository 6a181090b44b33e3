// Which experts a token goes to, and with what weight (spec 6): s = sigmoid(logits), the top k by
// s + bias (ties to the lower index), weighted by s itself, normalised over the k, then scaled.
// Experts of a row come out in ascending index, the order in which they are summed.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/matrix_view.h"

namespace millrace {

struct MoeRouteParams {
  MatrixView logits;      // [rows, experts]
  const float* bias;      // [experts] or null
  std::int32_t* experts;  // out [rows][top_k]
  float* weights;         // out [rows][top_k]
  std::int64_t rows;
  int top_k;
  bool normalise;  // divide by (sum + 1e-6)
  float scale;
};

struct MoeRoute {
  static constexpr std::string_view kName = "moe_route";
  struct Key {
    DType activation;
    int experts;
    int top_k;
  };
  using Params = MoeRouteParams;
  using Launch = void (*)(const MoeRouteParams&, Stream&);
};

std::string to_string(const MoeRoute::Key& key);
std::span<const KernelSpec<MoeRoute>> kernels_of(MoeRoute);

}  // namespace millrace
