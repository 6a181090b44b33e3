#include "checkpoint/quantise_k.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace millrace {
namespace {

constexpr int kBlock = 256;

// The nearest integer in [low, high], halves to even; a NaN gives low. Adding 1.5 * 2^23 leaves no
// bits for a fraction, and is a plain sum that compilers vectorise.
int nearest(float x, float low, float high) {
  constexpr float kShift = 12582912.0f;
  const float inside = std::min(std::max(low, x), high);
  return static_cast<int>((inside + kShift) - kShift);
}

using Levels = std::uint8_t;

// ---- Groups with a scale and a minimum: x = scale * level - minimum, minimum >= 0 ----

constexpr int kGroup = 32;

struct Affine {
  float scale = 0;
  float minimum = 0;
};

// The scales that are tried: (top + first + i * 0.1) / range for i in 0..last.
struct Search {
  float first;
  int last;
};

// Larger values matter more: their weight is their size plus the group's root mean square.
std::array<float, kGroup> weights_of(const float* x) {
  float squares = 0;
  for (int i = 0; i < kGroup; ++i) squares += x[i] * x[i];
  const float size = std::sqrt(squares / static_cast<float>(kGroup));
  std::array<float, kGroup> weights;
  for (std::size_t i = 0; i < kGroup; ++i) weights[i] = size + std::fabs(x[i]);
  return weights;
}

// For each way to round the group to levels 0..top, least squares give the scale and the minimum;
// of all of them the one of least weighted error is taken. The levels are written to `out`.
Affine fit_affine(const float* x, int top, const Search& search, Levels* out) {
  const std::array<float, kGroup> weights = weights_of(x);
  const auto high_level = static_cast<float>(top);
  float low = x[0], high = x[0];
  float sum_w = weights[0], sum_x = weights[0] * x[0];
  for (int i = 1; i < kGroup; ++i) {
    const float w = weights[static_cast<std::size_t>(i)];
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
    sum_w += w;
    sum_x += w * x[i];
  }
  low = std::min(low, 0.0f);
  if (!(high > low)) {
    std::fill_n(out, kGroup, Levels{0});
    return {0, -low};
  }

  std::array<float, kGroup> levels;
  const auto round_to = [&](float inverse) {
    for (std::size_t i = 0; i < kGroup; ++i)
      levels[i] = static_cast<float>(nearest(inverse * (x[i] - low), 0, high_level));
  };
  const auto error_of = [&](float scale, float offset) {
    float error = 0;
    for (std::size_t i = 0; i < kGroup; ++i) {
      const float off = scale * levels[i] + offset - x[i];
      error += weights[i] * (off * off);
    }
    return error;
  };
  const auto keep = [&] {
    for (std::size_t i = 0; i < kGroup; ++i) out[i] = static_cast<Levels>(levels[i]);
  };
  const float inverse = high_level / (high - low);
  float scale = 1 / inverse;
  round_to(inverse);
  float least = error_of(scale, low);
  keep();
  for (int step = 0; step <= search.last; ++step) {
    round_to((search.first + 0.1f * static_cast<float>(step) + high_level) / (high - low));
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (std::size_t i = 0; i < kGroup; ++i) {
      const float weighted = weights[i] * levels[i];
      sum_l += weighted;
      sum_l2 += weighted * levels[i];
      sum_xl += weighted * x[i];
    }
    const float determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (!(determinant > 0)) continue;
    float fitted = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    float offset = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (offset > 0) {
      offset = 0;
      fitted = sum_xl / sum_l2;
    }
    const float error = error_of(fitted, offset);
    if (!(error < least)) continue;
    least = error;
    scale = fitted;
    low = offset;  // the next steps round from here
    keep();
  }
  return {scale, -low};
}

// The counterpart of k_scale_min().
void put_scale_min(std::uint8_t* scales, int group, int scale, int minimum) {
  if (group < 4) {
    scales[group] = static_cast<std::uint8_t>(scale);
    scales[group + 4] = static_cast<std::uint8_t>(minimum);
    return;
  }
  scales[group + 4] = static_cast<std::uint8_t>((scale & 15) | ((minimum & 15) << 4));
  scales[group - 4] = static_cast<std::uint8_t>(scales[group - 4] | ((scale >> 4) << 6));
  scales[group] = static_cast<std::uint8_t>(scales[group] | ((minimum >> 4) << 6));
}

// Scales and minima as six bits each of the largest, then levels for the scales as they came out.
template <typename Block>
void encode_affine(const float* x, int top, const Search& search, Block& block,
                   Levels (&levels)[kBlock]) {
  constexpr int kGroups = kBlock / kGroup;
  constexpr float kSix = 63;
  std::array<Affine, kGroups> fits;
  float most_scale = 0, most_minimum = 0;
  for (int g = 0; g < kGroups; ++g) {
    const Affine fit = fit_affine(x + g * kGroup, top, search, levels + g * kGroup);
    fits[static_cast<std::size_t>(g)] = fit;
    most_scale = std::max(most_scale, fit.scale);
    most_minimum = std::max(most_minimum, fit.minimum);
  }
  const float inverse_scale = most_scale > 0 ? kSix / most_scale : 0;
  const float inverse_minimum = most_minimum > 0 ? kSix / most_minimum : 0;
  block.d = to_f16(most_scale / kSix);
  block.dmin = to_f16(most_minimum / kSix);
  for (int g = 0; g < kGroups; ++g) {
    const Affine& fit = fits[static_cast<std::size_t>(g)];
    put_scale_min(block.scales, g, nearest(inverse_scale * fit.scale, 0, kSix),
                  nearest(inverse_minimum * fit.minimum, 0, kSix));
  }
  for (int g = 0; g < kGroups; ++g) {
    const KScaleMin stored = k_scale_min(block.scales, g);
    const float scale = to_float(block.d) * static_cast<float>(stored.scale);
    const float minimum = to_float(block.dmin) * static_cast<float>(stored.min);
    if (scale == 0) continue;
    for (int i = g * kGroup; i < (g + 1) * kGroup; ++i)
      levels[i] =
          static_cast<Levels>(nearest((x[i] + minimum) / scale, 0, static_cast<float>(top)));
  }
}

// Low nibbles are the even group of a pair, high ones the odd.
void pack_pairs(const Levels (&levels)[kBlock], std::uint8_t* nibbles) {
  for (int i = 0; i < kBlock; i += 2 * kGroup)
    for (int k = 0; k < kGroup; ++k)
      *nibbles++ =
          static_cast<std::uint8_t>((levels[i + k] & 15) | ((levels[i + kGroup + k] & 15) << 4));
}

// ---- Groups of 16 with a signed scale: x = scale * level, level in -32..31 ----

constexpr int kSmallGroup = 16;
constexpr float kTiny = 1e-15f;  // smaller groups are zeros

// The sums of least squares with weights x^2 for the levels of x * inverse.
struct Sums {
  float xl = 0, l2 = 0;
};
Sums symmetric_sums(const float* x, float inverse) {
  Sums sums;
  for (int i = 0; i < kSmallGroup; ++i) {
    const auto level = static_cast<float>(nearest(inverse * x[i], -32, 31));
    const float weight = x[i] * x[i];
    sums.xl += weight * x[i] * level;
    sums.l2 += weight * level * level;
  }
  return sums;
}

// The largest value becomes level -32 or about that: of 19 such scales the best. The levels, plus
// 32, are written to `out`.
float fit_symmetric(const float* x, Levels* out) {
  float extreme = 0;
  for (int i = 0; i < kSmallGroup; ++i)
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  if (!(std::fabs(extreme) >= kTiny)) {
    std::fill_n(out, kSmallGroup, Levels{0});
    return 0;
  }
  float chosen = -32.0f / extreme;
  Sums sums = symmetric_sums(x, chosen);
  float scale = sums.l2 != 0 ? sums.xl / sums.l2 : 0;
  float best = scale * sums.xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    const float inverse = -(32.0f + 0.1f * static_cast<float>(step)) / extreme;
    sums = symmetric_sums(x, inverse);
    if (!(sums.l2 > 0 && sums.xl * sums.xl > best * sums.l2)) continue;
    chosen = inverse;
    scale = sums.xl / sums.l2;
    best = scale * sums.xl;
  }
  for (int i = 0; i < kSmallGroup; ++i)
    out[i] = static_cast<Levels>(32 + nearest(chosen * x[i], -32, 31));
  return scale;
}

}  // namespace

void encode_k_block(const float* values, BlockQ4_K& block) {
  Levels levels[kBlock];
  encode_affine(values, 15, {-1.0f, 20}, block, levels);
  pack_pairs(levels, block.q);
}

void encode_k_block(const float* values, BlockQ5_K& block) {
  Levels levels[kBlock];
  encode_affine(values, 31, {-0.5f, 15}, block, levels);
  pack_pairs(levels, block.q);
  for (int i = 0; i < kGroup; ++i) {
    int bits = 0;
    for (int g = 0; g < kBlock / kGroup; ++g) bits |= (levels[g * kGroup + i] >> 4) << g;
    block.high[i] = static_cast<std::uint8_t>(bits);
  }
}

void encode_k_block(const float* values, BlockQ6_K& block) {
  constexpr int kGroups = kBlock / kSmallGroup;
  std::array<float, kGroups> scales;
  Levels levels[kBlock];
  float extreme = 0;
  for (int g = 0; g < kGroups; ++g) {
    const float scale = fit_symmetric(values + g * kSmallGroup, levels + g * kSmallGroup);
    scales[static_cast<std::size_t>(g)] = scale;
    if (std::fabs(scale) > std::fabs(extreme)) extreme = scale;
  }
  if (!(std::fabs(extreme) >= kTiny)) {
    std::memset(&block, 0, sizeof(block));
    return;
  }
  const float inverse = -128.0f / extreme;
  block.d = to_f16(1 / inverse);
  for (int g = 0; g < kGroups; ++g) {
    const int stored = nearest(inverse * scales[static_cast<std::size_t>(g)], -128, 127);
    block.scales[g] = static_cast<std::int8_t>(stored);
    const float scale = to_float(block.d) * static_cast<float>(stored);
    if (scale == 0) continue;
    for (int i = g * kSmallGroup; i < (g + 1) * kSmallGroup; ++i)
      levels[i] = static_cast<Levels>(32 + nearest(values[i] / scale, -32, 31));
  }
  // Each half of 128: four runs of 32, their low nibbles in pairs, their high bits together.
  for (int half = 0; half < 2; ++half) {
    const Levels* run = levels + half * 128;
    for (int i = 0; i < 32; ++i) {
      block.low[half * 64 + i] =
          static_cast<std::uint8_t>((run[i] & 15) | ((run[i + 64] & 15) << 4));
      block.low[half * 64 + 32 + i] =
          static_cast<std::uint8_t>((run[i + 32] & 15) | ((run[i + 96] & 15) << 4));
      block.high[half * 32 + i] =
          static_cast<std::uint8_t>((run[i] >> 4) | ((run[i + 32] >> 4) << 2) |
                                    ((run[i + 64] >> 4) << 4) | ((run[i + 96] >> 4) << 6));
    }
  }
}

}  // namespace millrace
