#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace millrace {
namespace {

TEST(Half, EveryF16RoundTrips) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const F16 half = {static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_f16(value))));
      continue;
    }
    EXPECT_EQ(to_f16(value).bits, half.bits);
  }
}

TEST(Half, F16RoundsToNearestEven) {
  // Midpoints between neighbours go to the even one, the next float above goes up.
  for (std::uint32_t bits = 0; bits < 0x7bffu; ++bits) {
    const float low = to_float(F16{static_cast<std::uint16_t>(bits)});
    const float high = to_float(F16{static_cast<std::uint16_t>(bits + 1)});
    const float middle = (low + high) / 2;
    EXPECT_EQ(to_f16(middle).bits, bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(to_f16(std::nextafter(middle, high)).bits, bits + 1);
    EXPECT_EQ(to_f16(std::nextafter(middle, low)).bits, bits);
  }
  EXPECT_EQ(to_f16(65520.f).bits, 0x7c00);  // ties to infinity
  EXPECT_EQ(to_f16(65519.f).bits, 0x7bff);
}

TEST(Half, BF16RoundsToNearestEvenAndKeepsNaN) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001u)).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(to_float(to_bf16(-INFINITY)), -INFINITY);
}

}  // namespace
}  // namespace millrace
