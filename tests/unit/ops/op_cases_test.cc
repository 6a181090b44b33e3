// Every case of every op's table, on every kernel that runs here, against the reference.
#include "ops/op_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ops/linear/linear.h"
#include "ops/moe_experts/moe_experts.h"

namespace millrace {

// For gtest's messages.
void PrintTo(const OpCase& c, std::ostream* out) { *out << c.op << " " << c.name; }

namespace {

std::vector<OpCase> small_cases() {
  std::vector<OpCase> cases = all_op_cases();
  std::erase_if(cases, [](const OpCase& c) { return c.full_size; });
  return cases;
}

class OpCaseTest : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpCaseTest, KernelsEqualTheReference) {
  const OpCase& c = GetParam();
  const std::unique_ptr<OpInstance> instance = c.make();
  for (const int threads : {1, 3}) {
    const std::unique_ptr<Device> device = make_cpu_device(threads);
    const std::unique_ptr<Stream> stream = device->make_stream();
    const std::vector<KernelVerdict> kernels = instance->kernels(device->traits());
    std::vector<float> want;
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      if (kernels[i].priority != Priority::Reference) continue;
      instance->run(i, *stream);
      want = instance->output();
    }
    ASSERT_FALSE(want.empty()) << "an op without a reference";
    for (const float value : want)
      ASSERT_TRUE(std::isfinite(value)) << "the reference wrote not all";
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      if (!kernels[i].reason.empty() || kernels[i].priority == Priority::Reference) continue;
      instance->run(i, *stream);
      const std::vector<float> got = instance->output();
      std::size_t bad = 0;
      std::size_t worst = 0;
      for (std::size_t j = 0; j < want.size(); ++j) {
        const float difference = std::abs(got[j] - want[j]);
        if (!(difference <= c.absolute + c.relative * std::abs(want[j]))) ++bad;  // NaN counts
        if (!(difference <= std::abs(got[worst] - want[worst]))) worst = j;
      }
      EXPECT_EQ(bad, 0u) << kernels[i].kernel << ", " << threads << " threads: worst at " << worst
                         << ": got " << got[worst] << ", want " << want[worst];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, OpCaseTest, ::testing::ValuesIn(small_cases()),
                         [](const auto& instance) {
                           std::string name = instance.param.op + "_" + instance.param.name;
                           for (char& c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name + "_" + std::to_string(instance.index);
                         });

// A row's bits do not depend on the rows beside it, nor on the number of threads.
TEST(BatchInvariance, LinearRowsAloneAndTogether) {
  for (const DType dtype :
       {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
        DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    constexpr std::int64_t kN = 75;
    const std::int64_t k = is_quantised(dtype) ? 1280 : 1100;
    constexpr std::int64_t kRows = 20;
    TypedInstance<Linear> instance;
    LinearParams p = {};
    p.in = instance.matrix(kRows, k, 1);
    p.weight = {instance.random_values(dtype, kN * k, 0.05), dtype, {kN, k}};
    p.out = instance.matrix(kRows, kN, 0);
    const std::unique_ptr<Device> one = make_cpu_device(1);
    const std::unique_ptr<Device> three = make_cpu_device(3);
    const auto stream_of_one = one->make_stream();
    const auto stream_of_three = three->make_stream();
    for (const KernelSpec<Linear>& spec : kernels_of(Linear{})) {
      if (!spec.rejects({dtype, DType::F32, kN, k}, one->traits()).empty()) continue;
      std::vector<float> alone;
      for (std::int64_t t = 0; t < kRows; ++t) {
        LinearParams single = p;
        single.in = p.in.rows_from(t);
        single.rows = 1;
        spec.launch(single, *stream_of_one);
        alone.insert(alone.end(), p.out.row<float>(0), p.out.row<float>(0) + kN);
      }
      for (std::int64_t rows = 1; rows <= kRows; ++rows) {
        p.rows = rows;
        spec.launch(p, *stream_of_three);
        ASSERT_EQ(std::memcmp(p.out.data, alone.data(), static_cast<std::size_t>(rows * kN) * 4), 0)
            << to_string(dtype) << " " << spec.name << " rows " << rows;
      }
    }
  }
}

TEST(OpTables, NameEveryCaseOnceAndCoverEveryOp) {
  std::set<std::string> names;
  std::set<std::string> ops;
  for (const OpCase& c : all_op_cases()) {
    EXPECT_TRUE(names.insert(c.op + " " + c.name).second) << c.op << " " << c.name;
    EXPECT_GT(c.bytes, 0) << c.name;
    ops.insert(c.op);
  }
  EXPECT_EQ(ops.size(), 9u);
}

}  // namespace
}  // namespace millrace
