#include <cmath>

#include "ops/rope_kv/rope_kv.h"
#include "ops/sequence_cases.h"

namespace millrace {
namespace {

OpCase rope_case(DType kv, int heads, int kv_heads, int dim, std::vector<CaseSpan> spans,
                 bool full_size) {
  OpCase c;
  c.op = RopeKv::kName;
  c.type = to_string(kv);
  c.name =
      fmt::format("{} cache heads {}/{} dim {}: {}", c.type, heads, kv_heads, dim, describe(spans));
  c.full_size = full_size;
  std::int64_t rows = 0;
  std::int64_t longest = 0;
  for (const CaseSpan& span : spans) {
    rows += span.count;
    longest = std::max<std::int64_t>(longest, span.position + span.count);
  }
  c.bytes = static_cast<double>(rows * dim * (8 * heads + kv_heads * (8 + 2 * bytes_of(kv, 1))));
  c.flops = static_cast<double>(rows * dim * (heads + kv_heads) * 10);
  c.absolute = 4e-6f;
  // A value next to a rounding boundary of bf16 may fall to either side.
  c.relative = kv == DType::BF16 ? 1.0f / 128 : 4e-6f;
  c.make = [=] {
    auto instance = std::make_unique<TypedInstance<RopeKv>>();
    instance->key = {DType::F32, kv, dim};
    RopeKvParams& p = instance->params;
    const CaseBatch batch = make_batch(*instance, spans);
    p.batch = batch.view;
    p.q = instance->matrix(rows, heads * dim, 2);
    p.k = instance->matrix(rows, kv_heads * dim, 2);
    p.v = instance->matrix(rows, kv_heads * dim, 2);
    p.q_norm = instance->floats(dim, 0.2, 1);
    p.k_norm = instance->floats(dim, 0.2, 1);
    p.epsilon = 1e-5f;
    float* cosines = instance->floats(longest * dim / 2, 0);
    float* sines = instance->floats(longest * dim / 2, 0);
    for (std::int64_t i = 0; i < longest * dim / 2; ++i) {
      cosines[i] = std::cos(static_cast<float>(i) * 0.37f);
      sines[i] = std::sin(static_cast<float>(i) * 0.37f);
    }
    p.cosines = cosines;
    p.sines = sines;
    p.heads = heads;
    const std::int64_t count = std::int64_t{batch.blocks} * kv_heads * 16 * dim;
    p.cache = {instance->random_values(kv, count, 1),
               instance->random_values(kv, count, 1),
               kv_heads,
               dim,
               16,
               kv};
    instance->writes(p.q, rows, true);
    instance->writes(p.cache.key, kv, count, true);
    instance->writes(p.cache.value, kv, count, true);
    // k may be normalised in place, and its rows of replayed spans may stay as they are.
    instance->gives_back(p.k, rows);
    return instance;
  };
  return c;
}

}  // namespace

std::vector<OpCase> rope_kv_cases() {
  const std::vector<CaseSpan> mixed = {{0, 5}, {31, 3}, {20, 6, true}, {15, 2}};
  std::vector<OpCase> cases;
  for (const DType kv : {DType::F32, DType::BF16}) {
    cases.push_back(rope_case(kv, 4, 2, 16, mixed, false));
    cases.push_back(rope_case(kv, 2, 1, 64, mixed, false));
    cases.push_back(rope_case(kv, 3, 3, 6, mixed, false));
    cases.push_back(rope_case(kv, 8, 2, 128, {{0, 130}}, false));
    cases.push_back(rope_case(kv, 32, 8, 64, {{1000, 1}}, true));
    cases.push_back(rope_case(kv, 32, 8, 64, {{0, 512}}, true));
  }
  return cases;
}

}  // namespace millrace
