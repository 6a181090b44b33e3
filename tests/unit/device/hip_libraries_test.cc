// AMD's libraries as they are found and loaded: doubles of them lie in folders of the build that
// ROCM_PATH names in turn.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "device/hip/hip_blas_lt.h"
#include "device/hip/hip_device.h"
#include "device/hip/hip_library.h"
#include "tensor/half.h"
#include "tests/support/hip_double.h"

namespace millrace::hip {
namespace {

using ::testing::HasSubstr;

void use_rocm(const std::string& folder) {
  ::setenv("ROCM_PATH", (std::string(MILLRACE_ROCM_DOUBLES) + "/" + folder).c_str(), 1);
}

TEST(HipLibrary, IsLoadedFromRocmPath) {
  use_rocm("good");
  const auto api = load_hip();
  ASSERT_TRUE(api) << api.error().message;
  int version = 0;
  EXPECT_EQ((*api)->get_runtime_version(&version), kSuccess);
  EXPECT_EQ(version, 70'200'000);
  const auto device = make_device(*api, 0);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().message, "no AMD GPU can be used: none is installed");
}

TEST(HipLibrary, AFunctionThatIsMissingIsNamed) {
  use_rocm("old");
  const auto api = load_hip();
  ASSERT_FALSE(api);
  EXPECT_EQ(api.error().code, ErrorCode::Unavailable);
  EXPECT_THAT(api.error().message,
              HasSubstr("libamdhip64.so: no function hipGraphInstantiateWithFlags"));
}

// One that never allocates asynchronously: emulators lack that.
TEST(HipLibrary, NobodyAsksForHipMallocAsync) {
  use_rocm("good");
  ASSERT_TRUE(load_hip());
  void* library = ::dlopen((std::string(std::getenv("ROCM_PATH")) + "/lib/libamdhip64.so").c_str(),
                           RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  EXPECT_EQ(::dlsym(library, "hipMallocAsync"), nullptr);
  ::dlclose(library);
}

class HipBlasLt : public ::testing::Test {
 protected:
  void SetUp() override { use_rocm("good"); }
  ~HipBlasLt() override {
    EXPECT_EQ(runtime_.alive(), 0u);
    EXPECT_THAT(runtime_.faults(), ::testing::IsEmpty());
  }

  static float value(std::int64_t i) { return static_cast<float>(i * 7 % 13 - 6) / 4; }
  static std::vector<BF16> values(std::int64_t count) {
    std::vector<BF16> out;
    for (std::int64_t i = 0; i < count; ++i) out.push_back(to_bf16(value(i)));
    return out;
  }

  testing::HipDouble runtime_;
  int stream_ = 0;  // its address stands for one
};

TEST_F(HipBlasLt, MultipliesRowsByTheTransposedWeight) {
  std::string why_not;
  const auto blas = BlasLt::load(runtime_.api(), why_not);
  ASSERT_TRUE(blas) << why_not;
  GemmShape shape = {.rows = 3,
                     .n = 5,
                     .k = 8,
                     .in_stride = 11,
                     .out_stride = 6,
                     .out = DType::F32,
                     .adds = false};
  const std::vector<BF16> in = values(3 * 11), weight = values(5 * 8);
  for (const bool adds : {false, true}) {
    shape.adds = adds;
    std::vector<float> out(3 * 6, 2.0f);
    for (int times = 0; times < 2; ++times) {  // the second with the plan of the first
      ASSERT_TRUE(blas->multiply(shape, in.data(), weight.data(), out.data(), &stream_));
      if (!adds) break;
    }
    for (std::int64_t row = 0; row < 3; ++row)
      for (std::int64_t column = 0; column < 6; ++column) {
        float want = 0;
        for (std::int64_t k = 0; k < 8; ++k) want += value(row * 11 + k) * value(column * 8 + k);
        if (adds) want = 2 * want + 2;
        if (column == 5) want = 2;  // beyond the matrix
        EXPECT_EQ(out[static_cast<std::size_t>(row * 6 + column)], want) << row << " " << column;
      }
  }
}

TEST_F(HipBlasLt, WritesBf16) {
  std::string why_not;
  const auto blas = BlasLt::load(runtime_.api(), why_not);
  ASSERT_TRUE(blas) << why_not;
  const std::vector<BF16> in = values(8), weight = values(8);
  BF16 out = {};
  ASSERT_TRUE(blas->multiply({1, 1, 8, 8, 1, DType::BF16, false}, in.data(), weight.data(), &out,
                             &stream_));
  float want = 0;
  for (std::int64_t k = 0; k < 8; ++k) want += value(k) * value(k);
  EXPECT_EQ(out.bits, to_bf16(want).bits);
}

TEST_F(HipBlasLt, WhatTheLibraryCannotDoIsLeftToOthers) {
  std::string why_not;
  const auto blas = BlasLt::load(runtime_.api(), why_not);
  ASSERT_TRUE(blas) << why_not;
  EXPECT_FALSE(
      blas->multiply({13, 1, 8, 8, 1, DType::F32, false}, nullptr, nullptr, nullptr, &stream_));
  EXPECT_FALSE(
      blas->multiply({13, 1, 8, 8, 1, DType::F32, false}, nullptr, nullptr, nullptr, &stream_));
}

TEST_F(HipBlasLt, WithoutTheLibraryOrMemoryThereIsNone) {
  std::string why_not;
  ::setenv("MILLRACE_DOUBLE_BROKEN", "1", 1);
  EXPECT_EQ(BlasLt::load(runtime_.api(), why_not), nullptr);
  ::unsetenv("MILLRACE_DOUBLE_BROKEN");
  EXPECT_THAT(why_not, HasSubstr("could not be started"));
  runtime_.fail("hipMalloc", kErrorOutOfMemory);
  EXPECT_EQ(BlasLt::load(runtime_.api(), why_not), nullptr);
  use_rocm("old");
  if (void* installed = ::dlopen("libhipblaslt.so", RTLD_NOW)) {
    ::dlclose(installed);
    GTEST_SKIP() << "this machine has the real one";
  }
  EXPECT_EQ(BlasLt::load(runtime_.api(), why_not), nullptr);
  EXPECT_THAT(why_not, HasSubstr("libhipblaslt is not installed"));
}

}  // namespace
}  // namespace millrace::hip
