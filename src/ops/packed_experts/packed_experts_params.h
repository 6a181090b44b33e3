// moe_experts_params.h with weights packed as in packed_linear: the inputs of every product are
// rounded first (row_encoding.h). Rows are grouped by expert; one row has the same bits whatever
// the others are.
#pragma once

#include "ops/moe_experts/moe_experts_params.h"
#include "ops/packed_linear/packed_linear_params.h"

namespace millrace {

// One expert's matrices; the experts of a layer agree in types and shapes.
struct PackedExpertView {
  PackedView w1;  // gate [width, hidden]
  PackedView w3;  // up   [width, hidden]
  PackedView w2;  // down [hidden, width]
};

using PackedExpertsParams = ExpertsParams<PackedExpertView>;

}  // namespace millrace
