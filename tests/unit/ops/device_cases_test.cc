// Every small case of every op with every kernel, on every device: against the reference, and the
// same bits when run again.
#include <gtest/gtest.h>

#include "ops/op_cases.h"
#include "tests/support/test_device.h"

namespace millrace {
namespace {

struct Setting {
  std::string device;
  std::size_t table;  // of all_op_tables()
  DType activation;
};

std::string name_of(const Setting& setting) {
  return fmt::format("{}_{}_{}", testing::test_name(setting.device),
                     all_op_tables()[setting.table].op, to_string(setting.activation));
}

void PrintTo(const Setting& setting, std::ostream* out) {
  *out << name_of(setting);
}

std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::string& device : testing::kernel_test_device_names())
    for (const DType activation : {DType::F32, DType::BF16})
      for (std::size_t table = 0; table < all_op_tables().size(); ++table)
        if (device != "cpu" || activation == DType::F32) all.push_back({device, table, activation});
  return all;
}

bool may_be_without_kernel(const Setting& setting) {
  const std::string_view op = all_op_tables()[setting.table].op;
  // Where a CPU only copies rows, it is the reference itself; its inputs are where they are needed;
  // fused ops are for BF16 on GPUs.
  if (setting.device == "cpu")
    return op == "embedding" || op == "gather_rows" || op == "bring_inputs" ||
           op == "linear_norm" || op.starts_with("norm_");
  // Packed weights are for CPUs; what begins a norm is for Hopper.
  return op == "packed_linear" || op == "packed_experts" || op == "linear_norm" ||
         (setting.activation == DType::F32 && op.starts_with("norm_"));
}

class DeviceCases : public ::testing::TestWithParam<Setting> {};

TEST_P(DeviceCases, EveryKernelEqualsTheReference) {
  const Setting& setting = GetParam();
  const std::unique_ptr<Device> device = testing::open_test_device(setting.device);
  const std::unique_ptr<Stream> stream = device->make_stream();
  int compared = 0;
  for (const OpCase& example : all_op_tables()[setting.table].cases) {
    if (example.full_size) continue;
    const std::unique_ptr<OpInstance> instance = example.make(setting.activation);
    instance->place_on(*device, *stream);
    const std::vector<KernelVerdict> kernels = instance->kernels(device->traits());
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      if (kernels[i].priority == Priority::Reference || !kernels[i].reason.empty()) continue;
      const Difference difference = instance->compare(i, *stream);
      EXPECT_LE(difference.worst, 1.0)
          << example.name << " " << kernels[i].kernel << " " << difference.where;
      ++compared;
      // Sanitizers have seen all that there is to see.
      if (testing::kIsSanitized) continue;
      EXPECT_TRUE(instance->output_bytes(i, *stream) == instance->output_bytes(i, *stream))
          << example.name << " " << kernels[i].kernel << ": two runs differ";
    }
  }
  EXPECT_TRUE(compared > 0 || may_be_without_kernel(setting));
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceCases, ::testing::ValuesIn(settings()),
                         [](const auto& instance) { return name_of(instance.param); });

}  // namespace
}  // namespace millrace
