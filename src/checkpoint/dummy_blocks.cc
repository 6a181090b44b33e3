#include "checkpoint/dummy_blocks.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "tensor/quant_blocks.h"

namespace millrace {
namespace {

// Root mean squares of what is drawn:
constexpr double kLevels16 = 4.609772;         // 0..15 around their mean: sqrt((16^2 - 1) / 12)
constexpr double kLevels32 = 9.233093;         // 0..31 around their mean
constexpr double kSignedLevels16 = 4.636809;   // -8..7 around 0: sqrt((16^2 - 1) / 12 + 1/4)
constexpr double kSignedLevels32 = 9.246621;   // -16..15 around 0
constexpr double kSignedLevels64 = 18.479719;  // -32..31 around 0
constexpr double kBytes = 73.895145;           // -127..127, -127 twice as often
constexpr double kScales32To63 = 48.389048;    // sqrt(47.5^2 + (32^2 - 1) / 12)
constexpr double kScales16To31 = 23.947860;    // sqrt(23.5^2 + (16^2 - 1) / 12)

// The block's scale d before rounding, and the largest float16 that goes beside it over d.
struct Scale {
  double d;
  double largest;
};
Scale scale_for(DType dtype, double deviation) {
  switch (dtype) {
    case DType::Q8_0:
      return {deviation / kBytes, 1.0};
    case DType::Q4_0:
      return {deviation / kSignedLevels16, 1.0};
    case DType::Q5_0:
      return {deviation / kSignedLevels32, 1.0};
    case DType::Q4_1:
      return {deviation / kLevels16, 7.5};
    case DType::Q5_1:
      return {deviation / kLevels32, 15.5};
    case DType::Q4_K:
      return {deviation / (kLevels16 * kScales32To63), 7.5};
    case DType::Q5_K:
      return {deviation / (kLevels32 * kScales32To63), 15.5};
    case DType::Q6_K:
      return {deviation / (kSignedLevels64 * kScales16To31), 1.0};
    default:
      check(false, "random blocks are for quantised types");
      return {};
  }
}

F16 with_sign(F16 x, std::uint64_t bit) {
  return {static_cast<std::uint16_t>(x.bits ^ ((bit & 1) << 15))};
}

// d, and m or dmin so that the mean weight is 0.
struct Halves {
  F16 d;
  F16 minus_mean;
};

// Words a block draws on, and how it uses them.
constexpr int words_of(const BlockQ8_0&) {
  return 4;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ8_0& block) {
  block.d = scale.d;
  std::memcpy(block.q, words, sizeof(block.q));
  // No encoder writes -128, and kernels may rely on that.
  for (std::int8_t& q : block.q) q = q == -128 ? std::int8_t{-127} : q;
}

// Levels -8..7 have mean -1/2: scales of both signs bring it to 0.
constexpr int words_of(const BlockQ4_0&) {
  return 3;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ4_0& block) {
  block.d = with_sign(scale.d, words[2]);
  std::memcpy(block.q, words, sizeof(block.q));
}

constexpr int words_of(const BlockQ4_1&) {
  return 2;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ4_1& block) {
  block.d = scale.d;
  block.m = with_sign(scale.minus_mean, 1);
  std::memcpy(block.q, words, sizeof(block.q));
}

constexpr int words_of(const BlockQ5_0&) {
  return 3;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ5_0& block) {
  block.d = with_sign(scale.d, words[2] >> 32);
  std::memcpy(block.q, words, sizeof(block.q));
  std::memcpy(block.high, words + 2, sizeof(block.high));
}

constexpr int words_of(const BlockQ5_1&) {
  return 3;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ5_1& block) {
  block.d = scale.d;
  block.m = with_sign(scale.minus_mean, 1);
  std::memcpy(block.q, words, sizeof(block.q));
  std::memcpy(block.high, words + 2, sizeof(block.high));
}

// Eight 6-bit scales of 32..63, each group's min equal to its scale, packed as k_scale_min() reads
// them.
void fill_scales(std::uint64_t word, std::uint8_t* scales) {
  std::uint8_t drawn[8];
  for (int g = 0; g < 8; ++g) drawn[g] = static_cast<std::uint8_t>(32 | ((word >> (5 * g)) & 31));
  for (int g = 0; g < 4; ++g) {
    const int top = (drawn[g + 4] >> 4) << 6;
    const int low = drawn[g + 4] & 15;
    scales[g] = scales[g + 4] = static_cast<std::uint8_t>(drawn[g] | top);
    scales[g + 8] = static_cast<std::uint8_t>(low | (low << 4));
  }
}

constexpr int words_of(const BlockQ4_K&) {
  return 17;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ4_K& block) {
  block.d = scale.d;
  block.dmin = scale.minus_mean;
  std::memcpy(block.q, words, sizeof(block.q));
  fill_scales(words[16], block.scales);
}

constexpr int words_of(const BlockQ5_K&) {
  return 21;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ5_K& block) {
  block.d = scale.d;
  block.dmin = scale.minus_mean;
  std::memcpy(block.q, words, sizeof(block.q));
  std::memcpy(block.high, words + 16, sizeof(block.high));
  fill_scales(words[20], block.scales);
}

constexpr int words_of(const BlockQ6_K&) {
  return 26;
}
void fill(const std::uint64_t* words, Halves scale, BlockQ6_K& block) {
  block.d = scale.d;
  std::memcpy(block.low, words, sizeof(block.low));
  std::memcpy(block.high, words + 16, sizeof(block.high));
  for (int g = 0; g < 16; ++g) {
    const int size = 16 + static_cast<int>((words[24] >> (4 * g)) & 15);
    block.scales[g] = static_cast<std::int8_t>((words[25] >> g) & 1 ? -size : size);
  }
}

template <typename Block>
void fill_all(Halves scale, std::uint64_t key, std::int64_t first, std::int64_t count, void* out) {
  constexpr int kWords = words_of(Block{});
  auto* bytes = static_cast<char*>(out);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t words[kWords];
    for (int w = 0; w < kWords; ++w)
      words[w] = random_word(key, static_cast<std::uint64_t>((first + i) * kWords + w));
    Block block;
    fill(words, scale, block);
    std::memcpy(bytes + i * std::int64_t{sizeof(Block)}, &block, sizeof(Block));
  }
}

}  // namespace

bool can_fill_blocks(DType dtype, double deviation) {
  const Scale scale = scale_for(dtype, deviation);
  const double stored = static_cast<double>(to_float(to_f16(static_cast<float>(scale.d))));
  return stored > 0 && std::fabs(stored - scale.d) < 0.02 * scale.d &&
         scale.d * scale.largest < 65000.0;
}

void fill_blocks(DType dtype, double deviation, std::uint64_t key, std::int64_t first,
                 std::int64_t count, void* out) {
  const Scale scale = scale_for(dtype, deviation);
  const F16 d = to_f16(static_cast<float>(scale.d));
  // Of the rounded d, so that the mean is 0 in spite of rounding.
  const float mean = to_float(d) * static_cast<float>(scale.largest);
  const Halves halves = {d, to_f16(mean)};
  switch (dtype) {
    case DType::Q8_0:
      return fill_all<BlockQ8_0>(halves, key, first, count, out);
    case DType::Q4_0:
      return fill_all<BlockQ4_0>(halves, key, first, count, out);
    case DType::Q4_1:
      return fill_all<BlockQ4_1>(halves, key, first, count, out);
    case DType::Q5_0:
      return fill_all<BlockQ5_0>(halves, key, first, count, out);
    case DType::Q5_1:
      return fill_all<BlockQ5_1>(halves, key, first, count, out);
    case DType::Q4_K:
      return fill_all<BlockQ4_K>(halves, key, first, count, out);
    case DType::Q5_K:
      return fill_all<BlockQ5_K>(halves, key, first, count, out);
    case DType::Q6_K:
      return fill_all<BlockQ6_K>(halves, key, first, count, out);
    default:
      check(false, "random blocks are for quantised types");
  }
}

}  // namespace millrace
