#include "ops/op_cases.h"

#include <algorithm>

#include "ops/attention/attention.h"
#include "ops/bring_inputs/bring_inputs.h"
#include "ops/case_tables.h"
#include "ops/embedding/embedding.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/linear/linear.h"
#include "ops/linear_norm/linear_norm.h"
#include "ops/moe_experts/moe_experts.h"
#include "ops/moe_route/moe_route.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/norm_short_conv/norm_short_conv.h"
#include "ops/norm_swiglu/norm_swiglu.h"
#include "ops/packed_experts/packed_experts.h"
#include "ops/packed_linear/packed_linear.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope_kv/rope_kv.h"
#include "ops/sample/sample.h"
#include "ops/short_conv/short_conv.h"
#include "ops/silu_mul/silu_mul.h"

namespace millrace {

std::span<const OpTable> all_op_tables() {
  static const std::vector<OpTable> kTables = {
      {Embedding::kName, embedding_cases()},
      {RmsNorm::kName, rms_norm_cases()},
      {Linear::kName, linear_cases()},
      {PackedLinear::kName, packed_linear_cases()},
      {ShortConv::kName, short_conv_cases()},
      {RopeKv::kName, rope_kv_cases()},
      {Attention::kName, attention_cases()},
      {SiluMul::kName, silu_mul_cases()},
      {MoeRoute::kName, moe_route_cases()},
      {MoeExperts::kName, moe_experts_cases()},
      {PackedExperts::kName, packed_experts_cases()},
      {NormLinear::kName, norm_linear_cases()},
      {NormShortConv::kName, norm_short_conv_cases()},
      {NormSwiglu::kName, norm_swiglu_cases()},
      {LinearNorm::kName, linear_norm_cases()},
      {Sample::kName, sample_cases()},
      {GatherRows::kName, gather_rows_cases()},
      {BringInputs::kName, bring_inputs_cases()},
  };
  return kTables;
}

std::vector<SupportRow> support_matrix(const DeviceTraits& traits, DType activation) {
  std::vector<SupportRow> rows;
  for (const OpTable& table : all_op_tables()) {
    std::vector<std::string> seen;
    for (const OpCase& example : table.cases) {
      // The first small case of each combination of types stands for it: it is quick to make.
      if (example.full_size || std::find(seen.begin(), seen.end(), example.types) != seen.end())
        continue;
      seen.push_back(example.types);
      for (KernelVerdict& verdict : example.make(activation)->kernels(traits))
        rows.push_back(
            {table.op, example.types, verdict.kernel, verdict.priority, std::move(verdict.reason)});
    }
  }
  return rows;
}

}  // namespace millrace
