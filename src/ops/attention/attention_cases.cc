#include <cmath>

#include "ops/attention/attention.h"
#include "ops/sequence_cases.h"

namespace millrace {
namespace {

OpCase attention_case(DType kv, int heads, int kv_heads, int dim, int window,
                      std::vector<CaseSpan> spans, bool full_size) {
  OpCase c;
  c.op = Attention::kName;
  c.type = to_string(kv);
  c.name = fmt::format("{} cache heads {}/{} dim {} window {}: {}", c.type, heads, kv_heads, dim,
                       window, describe(spans));
  c.full_size = full_size;
  std::int64_t rows = 0;
  double pairs = 0;
  double cached = 0;
  for (const CaseSpan& span : spans) {
    rows += span.count;
    cached += span.position + span.count;
    for (int i = 0; i < span.count; ++i) pairs += span.position + i + 1;
  }
  c.bytes = cached * kv_heads * dim * 2 * static_cast<double>(bytes_of(kv, 1)) +
            static_cast<double>(8 * rows * heads * dim);
  c.flops = pairs * heads * dim * 4;
  c.absolute = 4e-6f;
  c.relative = 1e-5f;
  c.make = [=] {
    auto instance = std::make_unique<TypedInstance<Attention>>();
    instance->key = {DType::F32, kv, dim, heads / kv_heads};
    AttentionParams& p = instance->params;
    const CaseBatch batch = make_batch(*instance, spans);
    p.batch = batch.view;
    p.q = instance->matrix(rows, heads * dim, 2);
    const std::int64_t count = std::int64_t{batch.blocks} * kv_heads * 16 * dim;
    p.cache = {instance->random_values(kv, count, 1),
               instance->random_values(kv, count, 1),
               kv_heads,
               dim,
               16,
               kv};
    p.out = instance->matrix(rows, heads * dim, 0);
    p.heads = heads;
    p.window = window;
    p.scale = 1.0f / std::sqrt(static_cast<float>(dim));
    instance->writes(p.out, rows, false);
    return instance;
  };
  return c;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  const std::vector<CaseSpan> mixed = {{0, 1}, {0, 20}, {15, 1}, {16, 1}, {33, 17}, {100, 3, true}};
  std::vector<OpCase> cases;
  for (const DType kv : {DType::F32, DType::BF16}) {
    for (const int window : {0, 1, 7, 32}) {
      cases.push_back(attention_case(kv, 4, 2, 16, window, mixed, false));
      cases.push_back(attention_case(kv, 4, 1, 64, window, mixed, false));
    }
    cases.push_back(attention_case(kv, 6, 2, 24, 0, mixed, false));
    cases.push_back(attention_case(kv, 4, 4, 128, 0, mixed, false));
    cases.push_back(attention_case(kv, 2, 2, 6, 0, mixed, false));
    cases.push_back(attention_case(kv, 32, 8, 64, 0, {{1000, 2}}, false));
    cases.push_back(attention_case(kv, 32, 8, 64, 0, {{8191, 1}}, true));
    cases.push_back(attention_case(kv, 32, 8, 64, 0, {{0, 512}}, true));
  }
  return cases;
}

}  // namespace millrace
