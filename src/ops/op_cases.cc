#include "ops/op_cases.h"

namespace millrace {

std::vector<OpCase> all_op_cases() {
  std::vector<OpCase> all;
  for (const auto& table :
       {attention_cases, embedding_cases, linear_cases, moe_experts_cases, moe_route_cases,
        rms_norm_cases, rope_kv_cases, short_conv_cases, silu_mul_cases})
    for (OpCase& one : table()) all.push_back(std::move(one));
  return all;
}

}  // namespace millrace
