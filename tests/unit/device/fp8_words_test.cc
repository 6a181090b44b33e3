// The words for FP8 in the emulation of AMD's gfx942: four numbers, the first in the lowest byte.
#define MILLRACE_GPU_EMULATED 64
#include <gtest/gtest.h>

#include "device/gpu/gpu_fp8.h"

namespace millrace::gpu {
namespace {

TEST(Fp8Words, PackAndUnpackFour) {
  static_assert(kFp8 == Fp8::Fnuz);
  EXPECT_EQ(pack_fp8(1.0f, -2.0f, 0.0f, 1000.0f), 0x7f00c840u);
  float out[4];
  unpack_fp8(0x7f00c840u, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_EQ(out[2], 0.0f);
  EXPECT_EQ(out[3], 240.0f);
  for (std::uint32_t bits = 0; bits < 256; ++bits) {
    if (bits == 0x80) continue;  // the NaN
    unpack_fp8(bits * 0x01010101u, out);
    EXPECT_EQ(pack_fp8(out[0], out[1], out[2], out[3]), bits * 0x01010101u);
  }
}

}  // namespace
}  // namespace millrace::gpu
