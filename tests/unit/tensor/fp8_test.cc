#include "tensor/fp8.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace {
namespace {

struct Known {
  std::uint8_t bits;
  float ocp, fnuz;
};

// From the formats' definitions: OCP 8-bit floating point specification 1.0, table 2; FNUZ as AMD's
// CDNA3 instruction set has it.
constexpr Known kKnown[] = {
    {0x01, 0x1p-9f, 0x1p-10f}, {0x07, 7 * 0x1p-9f, 7 * 0x1p-10f},
    {0x08, 0x1p-6f, 0x1p-7f},  {0x38, 1.0f, 0.5f},
    {0x40, 2.0f, 1.0f},        {0x44, 3.0f, 1.5f},
    {0x7e, 448.0f, 224.0f},    {0xb8, -1.0f, -0.5f},
    {0xc0, -2.0f, -1.0f},      {0xfe, -448.0f, -224.0f},
};

TEST(Fp8, BytesMeanWhatTheStandardsSay) {
  for (const Known& known : kKnown) {
    EXPECT_EQ(fp8_to_float(known.bits, Fp8::Ocp), known.ocp) << int{known.bits};
    EXPECT_EQ(fp8_to_float(known.bits, Fp8::Fnuz), known.fnuz) << int{known.bits};
  }
  EXPECT_TRUE(std::isnan(fp8_to_float(0x7f, Fp8::Ocp)));
  EXPECT_TRUE(std::isnan(fp8_to_float(0xff, Fp8::Ocp)));
  EXPECT_EQ(fp8_to_float(0x7f, Fp8::Fnuz), 240.0f);
  EXPECT_TRUE(std::isnan(fp8_to_float(0x80, Fp8::Fnuz)));
  EXPECT_TRUE(std::signbit(fp8_to_float(0x80, Fp8::Ocp)));
}

TEST(Fp8, EveryNumberComesBack) {
  for (const Fp8 encoding : {Fp8::Ocp, Fp8::Fnuz})
    for (int bits = 0; bits < 256; ++bits) {
      const float x = fp8_to_float(static_cast<std::uint8_t>(bits), encoding);
      if (std::isnan(x)) continue;
      EXPECT_EQ(fp8_from_float(x, encoding), bits);
    }
}

// Between any two neighbours: nearer to one, and halfway to the even one.
TEST(Fp8, RoundsToTheNearestAndToEven) {
  for (const Fp8 encoding : {Fp8::Ocp, Fp8::Fnuz})
    for (int bits = 0; fp8_to_float(static_cast<std::uint8_t>(bits), encoding) < largest(encoding);
         ++bits) {
      const float low = fp8_to_float(static_cast<std::uint8_t>(bits), encoding);
      const float high = fp8_to_float(static_cast<std::uint8_t>(bits + 1), encoding);
      const float middle = (low + high) / 2;  // exact
      EXPECT_EQ(fp8_from_float(std::nextafter(middle, low), encoding), bits);
      EXPECT_EQ(fp8_from_float(std::nextafter(middle, high), encoding), bits + 1);
      EXPECT_EQ(fp8_from_float(middle, encoding), bits % 2 == 0 ? bits : bits + 1);
      // And below zero, where FNUZ has no zero.
      const int negative = encoding == Fp8::Fnuz && bits == 0 ? 0 : bits | 0x80;
      EXPECT_EQ(fp8_from_float(-std::nextafter(middle, low), encoding), negative);
    }
}

TEST(Fp8, WhatIsTooLargeIsTheLargest) {
  for (const Fp8 encoding : {Fp8::Ocp, Fp8::Fnuz}) {
    const std::uint8_t most = encoding == Fp8::Ocp ? 0x7e : 0x7f;
    for (const float x : {1.1f * largest(encoding), 1e30f, INFINITY}) {
      EXPECT_EQ(fp8_from_float(x, encoding), most);
      EXPECT_EQ(fp8_from_float(-x, encoding), most | 0x80);
    }
  }
  EXPECT_EQ(fp8_from_float(NAN, Fp8::Ocp), 0x7f);
  EXPECT_EQ(fp8_from_float(NAN, Fp8::Fnuz), 0x80);
  EXPECT_EQ(fp8_from_float(-0.0f, Fp8::Fnuz), 0);
  EXPECT_EQ(fp8_from_float(-0.0f, Fp8::Ocp), 0x80);
  EXPECT_EQ(fp8_from_float(1e-30f, Fp8::Ocp), 0);
}

}  // namespace
}  // namespace millrace
