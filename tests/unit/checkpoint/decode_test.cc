// decode_row() and quantise_row() against the values of the `gguf` package, bit for bit
// (tools/golden/make_dequant_cases.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "checkpoint/quantise.h"
#include "checkpoint/safetensors.h"
#include "tensor/decode_row.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

class QuantisedFormat : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    auto opened = open_safetensors(testing::data_path("dequant/cases.safetensors"));
    ASSERT_TRUE(opened) << opened.error().message;
    cases_ = std::move(*opened);
  }

  TensorView tensor(std::string_view part) const {
    const auto view = cases_->get(fmt::format("{}.{}", to_string(GetParam()), part));
    return view ? *view : TensorView{};
  }

 private:
  std::unique_ptr<Checkpoint> cases_;
};

TEST_P(QuantisedFormat, DecodesBitForBit) {
  const TensorView blocks = tensor("blocks");
  const TensorView values = tensor("values");
  ASSERT_TRUE(blocks && values);
  const std::int64_t count = values.shape.elements();
  ASSERT_EQ(blocks.bytes(), bytes_of(GetParam(), count));
  std::vector<float> decoded(static_cast<std::size_t>(count));
  decode_row(GetParam(), blocks.data, count, decoded.data());
  const auto* expected = values.as<std::uint32_t>();
  for (std::size_t i = 0; i < decoded.size(); ++i)
    ASSERT_EQ(std::bit_cast<std::uint32_t>(decoded[i]), expected[i])
        << "element " << i << ": " << decoded[i] << ", expected " << values.as<float>()[i];
}

TEST_P(QuantisedFormat, DecodesUnalignedRows) {
  const TensorView blocks = tensor("blocks");
  const std::int64_t count = tensor("values").shape.elements();
  std::vector<std::byte> moved(static_cast<std::size_t>(blocks.bytes()) + 1);
  std::memcpy(moved.data() + 1, blocks.data, static_cast<std::size_t>(blocks.bytes()));
  std::vector<float> decoded(static_cast<std::size_t>(count));
  decode_row(GetParam(), moved.data() + 1, count, decoded.data());
  EXPECT_EQ(std::memcmp(decoded.data(), tensor("values").data, decoded.size() * 4), 0);
}

class EncodedFormat : public QuantisedFormat {};

TEST_P(EncodedFormat, EncodesBitForBit) {
  const TensorView rows = tensor("rows");
  const TensorView encoded = tensor("encoded");
  ASSERT_TRUE(rows && encoded);
  const std::int64_t count = rows.shape.elements();
  std::vector<std::uint8_t> found(static_cast<std::size_t>(bytes_of(GetParam(), count)));
  ASSERT_EQ(static_cast<std::int64_t>(found.size()), encoded.bytes());
  quantise_row(GetParam(), rows.as<float>(), count, found.data());
  const auto* expected = encoded.as<std::uint8_t>();
  const auto block = static_cast<std::size_t>(layout_of(GetParam()).block_bytes);
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(found[i], expected[i]) << "block " << i / block << ", byte " << i % block;
}

// No undefined conversion whatever the values; a sanitizer watches.
TEST_P(EncodedFormat, EncodesHostileValues) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float odd : {kInf, -kInf, kNan, 3.4e38f, -3.4e38f, 1e-45f, 1e-39f}) {
    std::vector<float> row(32, 0.5f);
    row[3] = odd;
    row[4] = -odd;
    std::vector<std::byte> out(64);
    quantise_row(GetParam(), row.data(), 32, out.data());
  }
}

std::string name_of(const ::testing::TestParamInfo<DType>& tested) {
  return std::string(to_string(tested.param));
}
INSTANTIATE_TEST_SUITE_P(All, QuantisedFormat,
                         ::testing::Values(DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
                                           DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K),
                         name_of);
INSTANTIATE_TEST_SUITE_P(All, EncodedFormat,
                         ::testing::Values(DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
                                           DType::Q5_1),
                         name_of);

TEST(Quantise, KnowsItsFormats) {
  EXPECT_TRUE(can_quantise(DType::Q4_K));
  EXPECT_FALSE(can_quantise(DType::I32));
  const float values[] = {1.0f, -2.5f, 65504.0f, 1e-8f};
  std::uint16_t half[4];
  quantise_row(DType::F16, values, 4, half);
  EXPECT_THAT(half, ::testing::ElementsAre(0x3c00, 0xc100, 0x7bff, 0x0000));
  quantise_row(DType::BF16, values, 4, half);
  EXPECT_THAT(half, ::testing::ElementsAre(0x3f80, 0xc020, 0x4780, 0x322c));
}

}  // namespace
}  // namespace millrace
