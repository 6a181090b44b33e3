// The K-quant encoders against ggml's reference, bit for bit (tools/golden/make_k_quant_cases.py),
// and against what the formats can hold.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "checkpoint/quantise.h"
#include "checkpoint/safetensors.h"
#include "tensor/decode_row.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

class KQuant : public ::testing::TestWithParam<DType> {
 protected:
  std::vector<std::byte> encode(const std::vector<float>& values) {
    const auto count = static_cast<std::int64_t>(values.size());
    std::vector<std::byte> blocks(static_cast<std::size_t>(bytes_of(GetParam(), count)));
    quantise_row(GetParam(), values.data(), count, blocks.data());
    return blocks;
  }
  std::vector<float> there_and_back(const std::vector<float>& values) {
    std::vector<float> back(values.size());
    decode_row(GetParam(), encode(values).data(), static_cast<std::int64_t>(values.size()),
               back.data());
    return back;
  }
};

TEST_P(KQuant, EncodesAsGgmlDoes) {
  auto cases = open_safetensors(testing::data_path("dequant/k_cases.safetensors"));
  ASSERT_TRUE(cases) << cases.error().message;
  const auto rows = (*cases)->get("rows");
  const auto expected = (*cases)->get(fmt::format("{}.encoded", to_string(GetParam())));
  ASSERT_TRUE(rows && expected);
  const auto* first = rows->as<float>();
  const std::vector<std::byte> blocks = encode({first, first + rows->shape.elements()});
  ASSERT_EQ(static_cast<std::int64_t>(blocks.size()), expected->bytes());
  const auto size = static_cast<std::size_t>(layout_of(GetParam()).block_bytes);
  for (std::size_t i = 0; i < blocks.size(); ++i)
    ASSERT_EQ(blocks[i], expected->as<std::byte>()[i])
        << "block " << i / size << ", byte " << i % size;
}

// Root mean square of the error over that of the values, for normal values: what the bits allow.
TEST_P(KQuant, KeepsNormalValues) {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> values(256 * 64);
  for (float& value : values) value = normal(random);
  const std::vector<float> back = there_and_back(values);
  double off = 0, size = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    off += std::pow(static_cast<double>(values[i] - back[i]), 2);
    size += std::pow(static_cast<double>(values[i]), 2);
  }
  const double error = std::sqrt(off / size);
  EXPECT_LT(error, GetParam() == DType::Q4_K ? 0.08 : GetParam() == DType::Q5_K ? 0.04 : 0.02);
  EXPECT_GT(error, 0.001);
}

// No value is off by more than a step of its group, and a little for the rounding of the scales.
TEST_P(KQuant, BoundsEveryError) {
  std::mt19937_64 random(6);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const int group = GetParam() == DType::Q6_K ? 16 : 32;
  const float levels = GetParam() == DType::Q4_K ? 15 : GetParam() == DType::Q5_K ? 31 : 63;
  std::vector<float> values(256 * 16);
  for (float& value : values) value = uniform(random);
  const std::vector<float> back = there_and_back(values);
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], back[i], 2.0f / levels * 1.1f + 0.02f) << i << ", group of " << group;
}

TEST_P(KQuant, KeepsZerosAndConstants) {
  for (const float value : there_and_back(std::vector<float>(256, 0.0f))) EXPECT_EQ(value, 0.0f);
  for (const float value : there_and_back(std::vector<float>(256, 0.5f)))
    EXPECT_NEAR(value, 0.5f, 0.002f);
  for (const float value : there_and_back(std::vector<float>(256, -0.5f)))
    EXPECT_NEAR(value, -0.5f, 0.002f);
}

// No undefined conversion whatever the values; a sanitizer watches.
TEST_P(KQuant, SurvivesHostileValues) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float odd : {kInf, -kInf, kNan, 3.4e38f, -3.4e38f, 1e-45f, 1e-39f}) {
    std::vector<float> values(256, 0.5f);
    values[3] = odd;
    values[4] = -odd;
    for (std::size_t i = 64; i < 96; ++i) values[i] = odd;
    encode(values);
  }
}

INSTANTIATE_TEST_SUITE_P(All, KQuant, ::testing::Values(DType::Q4_K, DType::Q5_K, DType::Q6_K),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

}  // namespace
}  // namespace millrace
