#include "ops/sample/sample_row.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace millrace {
namespace {

__extension__ using Wide = unsigned __int128;

bool is_better(const SampleCandidate& a, const SampleCandidate& b) {
  const std::uint32_t x = sample_order(a.logit);
  const std::uint32_t y = sample_order(b.logit);
  return x != y ? x > y : a.token < b.token;
}

// How many candidates are the smallest set of the best that weighs at least `wanted`; these come
// first then. As a rule they are few: the order is made of 64, then of 256, ... until they are in.
template <typename Weight>
std::size_t heaviest(std::span<SampleCandidate> candidates, std::uint64_t wanted,
                     const Weight& weight) {
  std::size_t sorted = 0;
  std::size_t kept = 0;
  std::uint64_t reached = 0;
  while (kept < candidates.size() && reached < wanted) {
    if (kept == sorted) {
      sorted = std::min(candidates.size(), std::max<std::size_t>(64, sorted * 4));
      std::partial_sort(candidates.begin() + static_cast<std::ptrdiff_t>(kept),
                        candidates.begin() + static_cast<std::ptrdiff_t>(sorted), candidates.end(),
                        is_better);
    }
    reached += weight(candidates[kept++].logit);
  }
  return kept;
}

}  // namespace

// SplitMix64 finaliser (Steele, Lea, Flood 2014), applied twice.
std::uint64_t sample_random_bits(std::uint64_t seed, std::int64_t position) {
  const auto mix = [](std::uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  };
  return mix(mix(seed) ^ static_cast<std::uint64_t>(position));
}

std::uint32_t sample_weight(float logit, float best, float inverse_temperature) {
  // 2^30 as a float, since kSampleOne is none.
  const float scaled = std::exp((logit - best) * inverse_temperature) * 0x1p30f + 0.5f;
  return std::min(static_cast<std::uint32_t>(scaled), kSampleOne);
}

std::uint32_t sample_order(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x + 0.0f);  // -0 is 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

void apply_mask(std::span<float> logits, const std::uint32_t* mask) {
  for (std::size_t i = 0; i < logits.size(); ++i)
    if ((mask[i / 32] >> (i % 32) & 1) == 0 && logits[i] == logits[i])
      logits[i] = -std::numeric_limits<float>::infinity();
}

void apply_penalties(std::span<float> logits, const SampleRow& row, const std::uint16_t* history) {
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (history[i] == 0) continue;
    const auto count = static_cast<float>(history[i] & kHistoryMostTimes);
    float& logit = logits[i];
    logit = logit > 0 ? logit / row.repetition : logit * row.repetition;
    if (count > 0) logit -= row.presence + row.frequency * count;
  }
}

void note_token(std::uint16_t* history, std::int32_t token) {
  if ((history[token] & kHistoryMostTimes) != kHistoryMostTimes) ++history[token];
}

std::int32_t choose_token(std::span<const float> logits, const SampleRow& row,
                          SampleCandidate* scratch) {
  const auto first_best = std::max_element(logits.begin(), logits.end());
  const float best = *first_best;
  if (row.inverse_temperature == 0 || std::isinf(best))
    return static_cast<std::int32_t>(first_best - logits.begin());

  const auto weight = [&](float logit) {
    return sample_weight(logit, best, row.inverse_temperature);
  };
  const float floor = best - row.min_p_distance;
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= floor && weight(logits[i]) > 0)
      scratch[count++] = {logits[i], static_cast<std::int32_t>(i)};

  std::span<SampleCandidate> kept(scratch, count);
  if (row.top_k > 0 && static_cast<std::size_t>(row.top_k) < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + row.top_k - 1, kept.end(), is_better);
    kept = kept.first(static_cast<std::size_t>(row.top_k));
  }
  const auto total_weight = [&] {
    std::uint64_t total = 0;
    for (const SampleCandidate& c : kept) total += weight(c.logit);
    return total;
  };
  if (row.top_p < 1) {
    const double wanted = std::ceil(row.top_p * static_cast<double>(total_weight()));
    kept = kept.first(heaviest(kept, static_cast<std::uint64_t>(wanted), weight));
  }
  if (row.top_k > 0 || row.top_p < 1)
    std::sort(kept.begin(), kept.end(),
              [](const SampleCandidate& a, const SampleCandidate& b) { return a.token < b.token; });

  auto target = static_cast<std::uint64_t>(
      Wide{sample_random_bits(row.seed, row.position)} * Wide{total_weight()} >> 64);
  for (const SampleCandidate& c : kept) {
    const std::uint64_t w = weight(c.logit);
    if (target < w) return c.token;
    target -= w;
  }
  return kept.back().token;  // not reached: target < total
}

}  // namespace millrace
