// One table of cases an op, put together by all_op_tables().
#pragma once

#include <vector>

#include "ops/op_cases.h"

namespace millrace {

std::vector<OpCase> bring_inputs_cases();
std::vector<OpCase> embedding_cases();
std::vector<OpCase> gather_rows_cases();
std::vector<OpCase> rms_norm_cases();
std::vector<OpCase> linear_cases();
std::vector<OpCase> packed_experts_cases();
std::vector<OpCase> packed_linear_cases();
std::vector<OpCase> short_conv_cases();
std::vector<OpCase> rope_kv_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> silu_mul_cases();
std::vector<OpCase> moe_route_cases();
std::vector<OpCase> moe_experts_cases();
std::vector<OpCase> linear_norm_cases();
std::vector<OpCase> norm_linear_cases();
std::vector<OpCase> norm_short_conv_cases();
std::vector<OpCase> norm_swiglu_cases();
std::vector<OpCase> sample_cases();

}  // namespace millrace
