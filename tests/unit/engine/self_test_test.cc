// A kernel that computes wrong on this device is found at load and not used. The wrong ones are
// made by the linker: CMakeLists.txt has it send the launches that are named here through these
// wrappers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "device/open_device.h"
#include "engine/parts.h"
#include "ops/attention/attention_params.h"
#include "ops/kernel_trials.h"
#include "ops/norm_linear/norm_linear_params.h"

namespace {

enum class Fault { None, Wrong, Throws };
Fault g_norm_linear = Fault::None;
Fault g_attention = Fault::None;

// The kernels write to the host's memory here, so that their work can be spoilt after them.
void spoil(Fault fault, void* out) {
  if (fault == Fault::Throws)
    throw millrace::DeviceError("a kernel launch: invalid device function");
  if (fault == Fault::Wrong) static_cast<unsigned char*>(out)[1] ^= 0x40;  // an exponent's bit
}

}  // namespace

extern "C" {
#define NORM_LINEAR(name) \
  name##_ZN8millrace8emulated15run_norm_linearERKNS_16NormLinearParamsERNS_6StreamE
#define ATTENTION(name) \
  name##_ZN8millrace8emulated19run_flash_attentionERKNS_15AttentionParamsERNS_6StreamE
#define AMD_ATTENTION(name) \
  name##_ZN8millrace3hip19run_flash_attentionERKNS_15AttentionParamsERNS_6StreamE
void NORM_LINEAR(__real_)(const millrace::NormLinearParams& p, millrace::Stream& stream);
void ATTENTION(__real_)(const millrace::AttentionParams& p, millrace::Stream& stream);
void AMD_ATTENTION(__real_)(const millrace::AttentionParams& p, millrace::Stream& stream);

void NORM_LINEAR(__wrap_)(const millrace::NormLinearParams& p, millrace::Stream& stream) {
  NORM_LINEAR(__real_)(p, stream);
  spoil(g_norm_linear, p.out.data);
}
void ATTENTION(__wrap_)(const millrace::AttentionParams& p, millrace::Stream& stream) {
  ATTENTION(__real_)(p, stream);
  spoil(g_attention, p.out.data);
}
void AMD_ATTENTION(__wrap_)(const millrace::AttentionParams& p, millrace::Stream& stream) {
  AMD_ATTENTION(__real_)(p, stream);
  if (g_attention != Fault::None) spoil(g_attention, p.out.data);
}
}

namespace millrace {
namespace {

using ::testing::HasSubstr;

class SelfTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(open_device(GetParam(), 1)) << GetParam();
    g_norm_linear = g_attention = Fault::None;
  }
  void TearDown() override { g_norm_linear = g_attention = Fault::None; }

  // models/nano's shape with random weights, of which the fused kernels want BF16.
  Result<std::unique_ptr<EngineParts>> load(bool self_test, KernelOverrides kernels = {}) {
    EngineOptions options;
    options.model = MILLRACE_SOURCE_DIR "/models/nano";
    options.device = GetParam();
    options.context = 64;
    options.max_sequences = 1;
    options.self_test = self_test;
    options.kernels = std::move(kernels);
    options.load.format = LoadFormat::Dummy;
    ::testing::internal::CaptureStderr();
    Result<std::unique_ptr<EngineParts>> parts =
        make_parts(MILLRACE_TRY(load_model(options.model, options.load)), options);
    said_ = ::testing::internal::GetCapturedStderr();
    return parts;
  }

  // The first verdict on a kernel of an op.
  static KernelVerdict verdict(const EngineParts& parts, std::string_view op,
                               std::string_view kernel) {
    for (const KernelReport& report : parts.model->kernels())
      for (const KernelVerdict& v : report.verdicts)
        if (report.op == op && v.kernel == kernel) return v;
    return {"", Priority::Reference, "not asked about"};
  }

  std::string said_;
};

TEST_P(SelfTest, RightKernelsStay) {
  const auto without = load(false), with = load(true);
  ASSERT_TRUE(without && with);
  EXPECT_THAT(said_, ::testing::Not(HasSubstr("warning")));
  const auto& some = (*without)->model->kernels();
  const auto& same = (*with)->model->kernels();
  ASSERT_EQ(some.size(), same.size());
  for (std::size_t i = 0; i < some.size(); ++i)
    EXPECT_EQ(some[i].verdicts.front().kernel, same[i].verdicts.front().kernel) << some[i].op;
  EXPECT_EQ(verdict(**with, "attention", "flash").reason, "");
}

TEST_P(SelfTest, AWrongKernelGivesWayToThePortableOneWithAWarning) {
  g_attention = Fault::Wrong;
  const auto parts = load(true);
  ASSERT_TRUE(parts) << parts.error().message;
  EXPECT_THAT(said_,
              HasSubstr("millrace: warning: a kernel is not used: attention flash: self-test"));
  EXPECT_THAT(verdict(**parts, "attention", "flash").reason, HasSubstr("out[0]: got"));
  EXPECT_EQ(verdict(**parts, "attention", "gpu").reason, "");
}

TEST_P(SelfTest, WithoutItNobodyNotices) {
  g_attention = Fault::Wrong;
  const auto parts = load(false);
  ASSERT_TRUE(parts);
  EXPECT_EQ(verdict(**parts, "attention", "flash").reason, "");
}

TEST_P(SelfTest, AKernelThatCannotBeLaunchedGivesWayToo) {
  g_attention = Fault::Throws;
  const auto parts = load(true);
  ASSERT_TRUE(parts);
  EXPECT_THAT(verdict(**parts, "attention", "flash").reason, HasSubstr("invalid device function"));
  EXPECT_EQ(verdict(**parts, "attention", "gpu").reason, "");
}

TEST_P(SelfTest, AWrongKernelThatWasAskedForIsAnError) {
  g_attention = Fault::Wrong;
  const auto parts = load(true, {{"attention", "flash"}});
  ASSERT_FALSE(parts);
  EXPECT_THAT(parts.error().message, HasSubstr("flash: self-test"));
  EXPECT_THAT(parts.error().message, HasSubstr("no other, as --kernel was given"));
}

// The linker wraps their launch on one device alone.
class SelfTestOfFused : public SelfTest {};

// An op that the model can do without: its steps then run one by one.
TEST_P(SelfTestOfFused, AWrongOneIsLeftOut) {
  g_norm_linear = Fault::Wrong;
  const auto parts = load(true);
  ASSERT_TRUE(parts);
  EXPECT_THAT(said_, HasSubstr("norm_linear stream: self-test"));
  EXPECT_EQ(verdict(**parts, "norm_linear", "stream").reason, "not asked about");
  EXPECT_EQ(verdict(**parts, "linear", "stream").reason, "");
}

TEST_P(SelfTest, AKernelIsTriedOnce) {
  const auto device = std::move(*open_device(GetParam(), 1));
  KernelTrials trials(*device, DType::BF16);
  EXPECT_EQ(trials.problem_of("attention", "flash"), "");
  g_attention = Fault::Wrong;
  EXPECT_EQ(trials.problem_of("attention", "flash"), "");
  EXPECT_EQ(trials.problem_of("decode_step", "persistent"), "") << "an op without cases";
  EXPECT_TRUE(trials.failures().empty());
}

INSTANTIATE_TEST_SUITE_P(Devices, SelfTest, ::testing::Values("emulated", "emulated-amd"),
                         [](const auto& instance) {
                           return instance.param == "emulated" ? "emulated" : "emulated_amd";
                         });
INSTANTIATE_TEST_SUITE_P(Devices, SelfTestOfFused, ::testing::Values("emulated"));

}  // namespace
}  // namespace millrace
