#include "engine/token_logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace millrace {
namespace {

// Four numbers at a time, the same four on every machine: sums are added up in one order.
using Floats __attribute__((vector_size(16))) = float;
using Ints __attribute__((vector_size(16))) = std::int32_t;
constexpr std::size_t kLanes = 4;
constexpr std::size_t kVectors = 4;  // in flight, so that no addition waits for the one before it
constexpr std::size_t kGroup = kVectors * kLanes;

Floats load(const float* from) {
  Floats vector;
  __builtin_memcpy(&vector, from, sizeof vector);  // need not be aligned
  return vector;
}

float highest(std::span<const float> values) {
  float best = -std::numeric_limits<float>::infinity();
  std::size_t i = 0;
  if (values.size() >= kGroup) {
    Floats most[kVectors];
    for (std::size_t k = 0; k < kVectors; ++k) most[k] = load(&values[k * kLanes]);
    for (i = kGroup; i + kGroup <= values.size(); i += kGroup)
      for (std::size_t k = 0; k < kVectors; ++k) {
        const Floats each = load(&values[i + k * kLanes]);
        most[k] = each > most[k] ? each : most[k];
      }
    for (const Floats& each : most)
      for (std::size_t lane = 0; lane < kLanes; ++lane) best = std::max(best, each[lane]);
  }
  for (; i < values.size(); ++i) best = std::max(best, values[i]);
  return best;
}

// e^x for x <= 0, relative error under 2e-7; below -87 as there, which no sum of ones feels.
// Cephes' polynomial after reduction to [-ln2/2, ln2/2].
inline Floats exponential(Floats x) {
  const Floats low = Floats{} - 87.3f;
  const Floats bounded = x < low ? low : x;                                     // NaN stays
  const Floats n = (bounded * 1.44269504088896341f + 12582912.f) - 12582912.f;  // nearest integer
  const Floats r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  const Ints exponent = __builtin_convertvector(n, Ints) + 127;
  return p * __builtin_bit_cast(Floats, exponent << 23);
}

}  // namespace

double log_sum_exp(std::span<const float> logits) {
  const float best = highest(logits);
  if (std::isinf(best)) {
    const auto is_nan = [](float logit) { return logit != logit; };
    return std::any_of(logits.begin(), logits.end(), is_nan) ? std::nan("") : best;
  }
  // Floats add up a part, doubles the parts.
  constexpr std::size_t kPart = 64 * kGroup;
  double sum = 0;
  std::size_t i = 0;
  while (i + kGroup <= logits.size()) {
    Floats sums[kVectors] = {};
    const std::size_t end = std::min(i + kPart, logits.size() / kGroup * kGroup);
    for (; i < end; i += kGroup)
      for (std::size_t k = 0; k < kVectors; ++k)
        sums[k] += exponential(load(&logits[i + k * kLanes]) - best);
    for (const Floats& each : sums)
      for (std::size_t lane = 0; lane < kLanes; ++lane) sum += double{each[lane]};
  }
  for (; i < logits.size(); ++i) sum += double{exponential(Floats{} + (logits[i] - best))[0]};
  return double{best} + std::log(sum);
}

std::int32_t rank_of(std::span<const float> logits, TokenId token) {
  const auto at = static_cast<std::size_t>(token);
  const float mine = logits[at];
  std::int32_t ahead = 0;
  for (std::size_t i = 0; i < at; ++i) ahead += logits[i] >= mine;
  for (std::size_t i = at + 1; i < logits.size(); ++i) ahead += logits[i] > mine;
  return ahead + 1;
}

void find_best(std::span<const float> logits, double normaliser, std::span<TokenLogprob> out) {
  if (out.empty()) return;
  // Until the end, `out` holds logits.
  std::size_t held = 0;
  const auto take = [&](std::size_t i) {
    const float logit = logits[i];
    if (held == out.size()) {
      if (!(logit > out.back().logprob)) return;
    } else {
      ++held;
    }
    // Behind its equals, whose ids are smaller.
    std::size_t place = held - 1;
    for (; place > 0 && logit > out[place - 1].logprob; --place) out[place] = out[place - 1];
    out[place] = {static_cast<TokenId>(i), logit};
  };
  std::size_t i = 0;
  for (; i < out.size(); ++i) take(i);
  // Most tokens are far from the best: a part without one that is good enough is passed over.
  constexpr std::size_t kPart = 4 * kGroup;
  for (; i + kPart <= logits.size(); i += kPart) {
    const float least = out.back().logprob;
    std::int32_t better = 0;
    for (std::size_t k = 0; k < kPart; ++k) better += logits[i + k] > least;
    if (better == 0) continue;
    for (std::size_t k = 0; k < kPart; ++k) take(i + k);
  }
  for (; i < logits.size(); ++i) take(i);
  for (TokenLogprob& each : out)
    each.logprob = static_cast<float>(double{each.logprob} - normaliser);
}

}  // namespace millrace
