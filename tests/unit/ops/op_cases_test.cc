// What holds for the case tables themselves and on the CPU; device_cases_test.cc compares kernels
// with the reference.
#include "ops/op_cases.h"

#include <gtest/gtest.h>

#include <map>

#include "device/cpu/cpu_device.h"
#include "ops/op_timing.h"

namespace millrace {
namespace {

struct Named {
  std::string_view op;
  const OpCase* example;
};

std::vector<Named> small_cases() {
  std::vector<Named> all;
  for (const OpTable& table : all_op_tables())
    for (const OpCase& example : table.cases)
      if (!example.full_size) all.push_back({table.op, &example});
  return all;
}

// Calls body(index, name) for each kernel but the reference that runs here.
template <typename Body>
int for_each_kernel(const OpInstance& instance, const DeviceTraits& traits, const Body& body) {
  const std::vector<KernelVerdict> kernels = instance.kernels(traits);
  int count = 0;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    if (kernels[i].priority == Priority::Reference || !kernels[i].reason.empty()) continue;
    body(i, kernels[i].kernel);
    ++count;
  }
  return count;
}

// The reference itself must write every element that it should, twice alike.
TEST(OpCases, TheReferenceIsDeterministic) {
  const std::unique_ptr<Device> device = make_cpu_device(2);
  const std::unique_ptr<Stream> stream = device->make_stream();
  for (const Named& named : small_cases()) {
    const std::unique_ptr<OpInstance> instance = named.example->make(DType::F32);
    const std::vector<KernelVerdict> kernels = instance->kernels(device->traits());
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      if (kernels[i].priority != Priority::Reference) continue;
      EXPECT_EQ(kernels[i].reason, "") << named.op << " " << named.example->name;
      const Difference difference = instance->compare(i, *stream);
      EXPECT_EQ(difference.worst, 0.0)
          << named.op << " " << named.example->name << " " << difference.where;
    }
  }
}

TEST(OpCases, TheSameBitsWhateverTheThreads) {
  const std::unique_ptr<Device> one = make_cpu_device(1);
  const std::unique_ptr<Stream> alone = one->make_stream();
  for (const int threads : {2, 3, 7}) {
    const std::unique_ptr<Device> device = make_cpu_device(threads);
    const std::unique_ptr<Stream> stream = device->make_stream();
    for (const Named& named : small_cases()) {
      const std::unique_ptr<OpInstance> instance = named.example->make(DType::F32);
      for_each_kernel(*instance, device->traits(), [&](std::size_t kernel, std::string_view name) {
        const std::vector<std::byte> want = instance->output_bytes(kernel, *alone);
        EXPECT_TRUE(want == instance->output_bytes(kernel, *stream))
            << named.op << " " << named.example->name << " " << name << ", " << threads
            << " threads";
      });
    }
  }
}

TEST(OpCases, NamesAreUnique) {
  std::map<std::string, int> names;
  for (const OpTable& table : all_op_tables())
    for (const OpCase& example : table.cases) {
      EXPECT_GT(example.bytes(DType::F32), 0) << example.name;
      EXPECT_EQ(++names[fmt::format("{} {}", table.op, example.name)], 1)
          << table.op << " " << example.name;
    }
}

TEST(SupportMatrix, SaysWhyAKernelCannotRun) {
  DeviceTraits old;  // a processor without any of the wide sets
  bool linear_runs = false;
  for (const SupportRow& row : support_matrix(old, DType::F32)) {
    const bool wide = row.kernel == "cpu_avx2" || row.kernel == "cpu_avx512";
    EXPECT_TRUE(!wide || !row.reason.empty()) << row.op << " " << row.types;
    EXPECT_TRUE(row.kernel != "reference" || row.reason.empty()) << row.op << " " << row.types;
    linear_runs |= row.op == "linear" && row.types == "Q4_K weight" && row.kernel == "cpu" &&
                   row.reason.empty();
  }
  EXPECT_TRUE(linear_runs);
}

TEST(OpTimings, TimesWhatTheFilterNames) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  OpTimingOptions options;
  options.filter = "rms_norm 2048 columns, 1 rows";
  options.min_seconds = 0;
  options.min_runs = 3;
  const Result<std::vector<OpTiming>> timings = time_op_cases(*device, options);
  ASSERT_TRUE(timings) << timings.error().message;
  ASSERT_EQ(timings->size(), 1u);
  EXPECT_EQ(timings->front().runs, 3);
  EXPECT_GT(timings->front().gb_s(), 0);
  options.filter = "no such case";
  EXPECT_EQ(time_op_cases(*device, options).error().code, ErrorCode::NotFound);
}

}  // namespace
}  // namespace millrace
