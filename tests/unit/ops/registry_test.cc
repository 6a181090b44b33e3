#include <gtest/gtest.h>

#include <algorithm>

#include "ops/kernel_registry.h"
#include "ops/linear/linear.h"
#include "ops/packed_linear/packed_linear.h"

namespace millrace {
namespace {

DeviceTraits traits_with(bool avx2, bool avx512) {
  DeviceTraits traits;
  traits.cpu.avx2 = avx2;
  traits.cpu.avx512 = avx512;
  return traits;
}

const Linear::Key kKey = {DType::BF16, DType::F32, 64, 64};

TEST(Registry, ChoosesByFeaturesAndSaysWhyOthersLost) {
#if defined(__x86_64__)
  EXPECT_EQ(choose_kernel<Linear>(kKey, traits_with(true, true), {})->spec->name, "cpu_avx512");
  EXPECT_EQ(choose_kernel<Linear>(kKey, traits_with(true, false), {})->spec->name, "cpu_avx2");
#elif defined(__aarch64__)
  DeviceTraits arm;
  const PackedLinear::Key quants = {DType::Q4_K, DType::F32, 64, 256};
  const PackedLinear::Key halves = {DType::BF16, DType::F32, 64, 256};
  EXPECT_EQ(choose_kernel<PackedLinear>(quants, arm, {})->spec->name, "reference");
  arm.cpu.neon_dot = true;
  EXPECT_EQ(choose_kernel<PackedLinear>(quants, arm, {})->spec->name, "cpu_neon_dot");
  EXPECT_EQ(choose_kernel<PackedLinear>(halves, arm, {})->spec->name, "reference");
  arm.cpu.neon_bf16 = true;
  EXPECT_EQ(choose_kernel<PackedLinear>(halves, arm, {})->spec->name, "cpu_neon_bf16");
#endif
  const auto choice = choose_kernel<Linear>(kKey, traits_with(false, false), {});
  ASSERT_TRUE(choice.has_value());
  EXPECT_EQ(choice->spec->name, "cpu");
  const std::span<const KernelSpec<Linear>> all = kernels_of(Linear{});
  EXPECT_EQ(choice->verdicts.size(), std::count_if(all.begin(), all.end(), [](const auto& spec) {
              return spec.backend == Backend::Cpu;
            }));
  EXPECT_EQ(choice->verdicts.front().reason, "");
  for (const KernelVerdict& verdict : choice->verdicts) {
    if (verdict.kernel == "cpu_avx2") {
      EXPECT_EQ(verdict.reason, "the processor has no AVX2 with FMA and F16C");
    }
    if (verdict.kernel == "reference") {
      EXPECT_EQ(verdict.reason, "cpu has a higher priority");
    }
  }
}

TEST(Registry, ForcesByName) {
  const auto forced =
      choose_kernel<Linear>(kKey, traits_with(true, true), {{"linear", "reference"}});
  EXPECT_EQ(forced->spec->name, "reference");
  const auto unknown = choose_kernel<Linear>(kKey, traits_with(true, true), {{"linear", "magic"}});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().message, "--kernel linear=magic: no kernel of that name for cpu");
#if defined(__x86_64__)
  const auto impossible =
      choose_kernel<Linear>(kKey, traits_with(true, false), {{"linear", "cpu_avx512"}});
  ASSERT_FALSE(impossible.has_value());
  EXPECT_NE(impossible.error().message.find("AVX-512"), std::string::npos);
#elif defined(__aarch64__)
  const auto impossible = choose_kernel<PackedLinear>({DType::Q8_0, DType::F32, 64, 256}, {},
                                                      {{"packed_linear", "cpu_neon_dot"}});
  ASSERT_FALSE(impossible.has_value());
  EXPECT_NE(impossible.error().message.find("dot products"), std::string::npos);
#endif
}

TEST(Registry, OtherBackendsDoNotCompete) {
  DeviceTraits gpu;
  gpu.backend = Backend::Hip;
  const auto choice = choose_kernel<Linear>(kKey, gpu, {});
  if (choice.has_value()) {
    EXPECT_EQ(choice->spec->backend, Backend::Hip);
  }
}

TEST(Registry, DuplicateNamesAbort) {
  static constexpr KernelSpec<Linear> kTwice[] = {
      {"same", Backend::Cpu, Priority::Portable, nullptr, nullptr},
      {"same", Backend::Cpu, Priority::Portable, nullptr, nullptr}};
  EXPECT_DEATH(join_kernels<Linear>({std::span<const KernelSpec<Linear>>(kTwice)}), "same name");
}

}  // namespace
}  // namespace millrace
