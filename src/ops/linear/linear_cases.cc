#include <cmath>

#include "ops/linear/linear.h"
#include "ops/op_cases.h"

namespace millrace {
namespace {

struct Dims {
  std::int64_t n, k, rows;
  bool bias, residual;
};

OpCase linear_case(DType dtype, const Dims& d, bool full_size) {
  OpCase c;
  c.op = Linear::kName;
  c.type = to_string(dtype);
  c.name = fmt::format("{} [{}, {}] rows {}{}{}", c.type, d.n, d.k, d.rows, d.bias ? " bias" : "",
                       d.residual ? " residual" : "");
  c.full_size = full_size;
  c.bytes = static_cast<double>(bytes_of(dtype, d.n * d.k) + 4 * d.rows * (d.k + d.n));
  c.flops = 2.0 * static_cast<double>(d.n * d.k * d.rows);
  // k products of size about 1/sqrt(k) each, summed in float: errors grow like sqrt(k) roundings of
  // a sum of size about 1, with room for the reference's own.
  c.absolute = 4e-7f * std::sqrt(static_cast<float>(d.k)) + 1e-6f;
  c.relative = 2e-6f;
  c.make = [=] {
    auto instance = std::make_unique<TypedInstance<Linear>>();
    const double deviation = 1.0 / std::sqrt(static_cast<double>(d.k));
    instance->key = {dtype, DType::F32, d.n, d.k};
    LinearParams& p = instance->params;
    p.in = instance->matrix(d.rows, d.k, 1);
    p.weight = {instance->random_values(dtype, d.n * d.k, deviation), dtype, {d.n, d.k}};
    p.bias = d.bias ? instance->floats(d.n, 1) : nullptr;
    p.out = instance->matrix(d.rows, d.n, 1);
    if (d.residual) p.residual = p.out;
    p.rows = d.rows;
    instance->writes(p.out, d.rows, d.residual);
    return instance;
  };
  return c;
}

}  // namespace

std::vector<OpCase> linear_cases() {
  std::vector<OpCase> cases;
  for (const DType dtype :
       {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
        DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    // One and many rows, odd counts of columns, one chunk of k and several, a part of a chunk.
    for (const std::int64_t rows : {1, 2, 3, 4, 5, 7, 13})
      cases.push_back(linear_case(dtype, {67, 512, rows, rows % 2 == 0, rows % 3 == 0}, false));
    cases.push_back(linear_case(dtype, {9, 2304, 1, false, true}, false));
    cases.push_back(linear_case(dtype, {130, 2304, 19, true, true}, false));
    if (is_quantised(dtype)) continue;
    for (const std::int64_t k : {1, 3, 15, 33, 133, 1025, 2047})
      for (const std::int64_t rows : {1, 6})
        cases.push_back(linear_case(dtype, {5, k, rows, true, false}, false));
  }
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    cases.push_back(linear_case(dtype, {6144, 2048, 1, false, false}, true));   // in_proj, 1.2B
    cases.push_back(linear_case(dtype, {2048, 8192, 1, false, true}, true));    // w2
    cases.push_back(linear_case(dtype, {65536, 2048, 1, false, false}, true));  // head
    cases.push_back(linear_case(dtype, {8192, 2048, 8, false, false}, true));
    cases.push_back(linear_case(dtype, {8192, 2048, 512, false, false}, true));
  }
  return cases;
}

}  // namespace millrace
