// The oracle: plain loops, sums in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/attention/attention_kernels.h"
#include "tensor/fp8.h"
#include "tensor/half.h"

namespace millrace {
namespace {

double cached(const void* cache, DType dtype, std::int64_t at) {
  if (dtype == DType::F32) return static_cast<const float*>(cache)[at];
  if (dtype == DType::BF16) return to_float(static_cast<const BF16*>(cache)[at]);
  return fp8_to_float(static_cast<const F8E4M3*>(cache)[at].bits, Fp8::Ocp);
}

void run_reference(const AttentionParams& params, Stream&) {
  const AttentionParams& p = params;
  const KvView& kv = p.cache;
  const int dim = kv.head_dim;
  const int group = p.heads / kv.kv_heads;
  std::vector<double> scores;
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    const std::int32_t* blocks = p.batch.block_tables + span.table * p.batch.table_stride;
    for (std::int64_t i = 0; i < span.count; ++i) {
      const std::int64_t position = span.position + i;
      const std::int64_t from =
          p.window > 0 ? std::max<std::int64_t>(0, position - p.window + 1) : 0;
      for (int h = 0; h < p.heads; ++h) {
        const float* q = p.q.row<float>(span.first_row + i) + h * dim;
        float* out = p.out.row<float>(span.first_row + i) + h * dim;
        const auto row_of = [&](std::int64_t at) {
          const std::int64_t block = blocks[at / kv.block_tokens];
          return ((block * kv.kv_heads + h / group) * kv.block_tokens + at % kv.block_tokens) * dim;
        };
        scores.clear();
        double largest = -std::numeric_limits<double>::infinity();
        for (std::int64_t at = from; at <= position; ++at) {
          double score = 0;
          for (int d = 0; d < dim; ++d) score += q[d] * cached(kv.key, kv.dtype, row_of(at) + d);
          scores.push_back(score * double{p.scale});
          largest = std::max(largest, scores.back());
        }
        double total = 0;
        for (double& score : scores) total += score = std::exp(score - largest);
        for (int d = 0; d < dim; ++d) {
          double sum = 0;
          for (std::int64_t at = from; at <= position; ++at)
            sum += scores[static_cast<std::size_t>(at - from)] *
                   cached(kv.value, kv.dtype, row_of(at) + d);
          out[d] = static_cast<float>(sum / total);
        }
      }
    }
  }
}

std::string rejects(const Attention::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 || !is_cache_type(key.kv)
             ? "the reference computes with F32 activations"
             : "";
}

}  // namespace

std::span<const KernelSpec<Attention>> reference_attention_kernels() {
  static constexpr KernelSpec<Attention> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
