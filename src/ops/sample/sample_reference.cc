// The oracle: all tokens sorted, then cut.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/sample/sample_kernels.h"
#include "ops/sample/sample_row.h"

namespace millrace {
namespace {

// The token of a row whose penalised logits are in order.
std::int32_t draw(const std::vector<float>& logits, const SampleRow& row) {
  std::vector<std::int32_t> tokens(logits.size());
  const auto logit = [&](std::int32_t token) { return logits[static_cast<std::size_t>(token)]; };
  std::iota(tokens.begin(), tokens.end(), 0);
  std::stable_sort(tokens.begin(), tokens.end(),
                   [&](std::int32_t a, std::int32_t b) { return logit(a) > logit(b); });
  const float best = logit(tokens.front());
  if (row.inverse_temperature == 0 || std::isinf(best)) return tokens.front();
  const auto weight = [&](std::int32_t token) -> std::uint64_t {
    return sample_weight(logit(token), best, row.inverse_temperature);
  };
  while (logit(tokens.back()) < best - row.min_p_distance || weight(tokens.back()) == 0)
    tokens.pop_back();
  if (row.top_k > 0 && std::ssize(tokens) > row.top_k)
    tokens.resize(static_cast<std::size_t>(row.top_k));
  const auto total = [&] {
    std::uint64_t sum = 0;
    for (const std::int32_t token : tokens) sum += weight(token);
    return sum;
  };
  if (row.top_p < 1) {
    const double wanted = row.top_p * static_cast<double>(total());
    std::uint64_t reached = 0;
    std::size_t kept = 0;
    while (static_cast<double>(reached) < wanted) reached += weight(tokens[kept++]);
    tokens.resize(kept);
  }
  std::sort(tokens.begin(), tokens.end());
  __extension__ using Wide = unsigned __int128;
  const Wide bits = sample_random_bits(row.seed, row.position);
  auto target = static_cast<std::uint64_t>(bits * total() >> 64);
  for (const std::int32_t token : tokens) {
    if (target < weight(token)) return token;
    target -= weight(token);
  }
  return tokens.back();
}

void run_reference(const SampleParams& params, Stream&) {
  const SampleParams& p = params;
  const std::int64_t vocab = p.logits.columns;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const SampleRow& row = p.samples[t];
    if (row.slot < 0) continue;
    float* logits = p.logits.row<float>(t);
    if (row.mask >= 0)
      for (std::int64_t i = 0; i < vocab; ++i) {
        const std::uint32_t word = p.masks[row.mask * sample_mask_words(vocab) + i / 32];
        if ((word >> (i % 32) & 1) == 0 && !std::isnan(logits[i]))
          logits[i] = -std::numeric_limits<float>::infinity();
      }
    std::uint16_t* history = p.history + row.slot * vocab;
    if (row.uses_history)
      for (std::int64_t i = 0; i < vocab; ++i) {
        const int times = history[i] & kHistoryMostTimes;
        if (history[i] != 0)
          logits[i] = logits[i] > 0 ? logits[i] / row.repetition : logits[i] * row.repetition;
        if (times > 0) logits[i] -= row.presence + row.frequency * static_cast<float>(times);
      }
    const bool damaged = std::any_of(logits, logits + vocab, [](float x) { return x != x; });
    const std::int32_t token = damaged ? 0 : draw(std::vector<float>(logits, logits + vocab), row);
    if (row.kept) p.sampled[row.slot] = token;
    p.results[row.result] = damaged ? -1 : token;
    if (row.uses_history && !damaged && (history[token] & kHistoryMostTimes) < kHistoryMostTimes)
      ++history[token];
  }
}

std::string rejects(const Sample::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<Sample>> reference_sample_kernels() {
  static constexpr KernelSpec<Sample> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
