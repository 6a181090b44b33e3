// FP8 with four exponent and three mantissa bits, in its two encodings. A byte means different
// numbers in each: an FNUZ byte is half of what the same byte is in OCP, where both are numbers.
//   OCP   E4M3FN: bias 7, largest 448, two NaNs (0x7f, 0xff), -0. NVIDIA, gfx950
//   FNUZ  bias 8, largest 240, one NaN (0x80), no -0, no infinities. gfx942
// The host's conversions, which the GPUs' instructions are tested against: device/gpu/gpu_fp8.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace millrace {

// An element of DType::F8_E4M3.
struct F8E4M3 {
  std::uint8_t bits;
};

enum class Fp8 { Ocp, Fnuz };

constexpr float largest(Fp8 encoding) {
  return encoding == Fp8::Ocp ? 448.0f : 240.0f;
}

inline float fp8_to_float(std::uint8_t bits, Fp8 encoding) {
  const bool is_nan = encoding == Fp8::Ocp ? (bits & 0x7f) == 0x7f : bits == 0x80;
  if (is_nan) return std::numeric_limits<float>::quiet_NaN();
  const int bias = encoding == Fp8::Ocp ? 7 : 8;
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  // Below the smallest exponent numbers are evenly spaced.
  const float size = exponent == 0
                         ? std::ldexp(static_cast<float>(mantissa), -2 - bias)
                         : std::ldexp(static_cast<float>(8 + mantissa), exponent - 3 - bias);
  return bits & 0x80 ? -size : size;
}

// To nearest even; what is too large becomes the largest, infinities too.
inline std::uint8_t fp8_from_float(float x, Fp8 encoding) {
  const std::uint8_t nan = encoding == Fp8::Ocp ? 0x7f : 0x80;
  if (std::isnan(x)) return nan;
  const int bias = encoding == Fp8::Ocp ? 7 : 8;
  const float size = std::fmin(std::fabs(x), largest(encoding));
  // The spacing of numbers around it.
  const int exponent = size == 0 ? -126 : std::max(std::ilogb(size), 1 - bias);
  const float steps =
      std::nearbyint(std::ldexp(size, 3 - exponent));  // 16 is the next exponent's 8
  // Counting on from zero, numbers' bits are in order.
  const int code = size == 0 ? 0 : static_cast<int>(steps) + 8 * (exponent - (1 - bias));
  if (encoding == Fp8::Fnuz && code == 0) return 0;  // -0 would be the NaN
  return static_cast<std::uint8_t>(code | (std::signbit(x) ? 0x80 : 0));
}

}  // namespace millrace
