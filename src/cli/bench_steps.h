// Steps of random tokens, timed one repetition at a time, so that tests can take turns.
#pragma once

#include <vector>

#include "cli/bench_report.h"
#include "engine/parts.h"

namespace millrace::cli {

struct StepTest {
  std::int64_t prefill = 0;  // tokens of a prompt; 0: decodes instead
  std::int64_t batch = 1;    // sequences decoded at once
  std::int64_t context = 0;  // cached positions before decoding
  std::int64_t steps = 0;    // decoded in one repetition
};

class StepBench {
 public:
  // Borrows the parts, whose cache holds the largest test.
  explicit StepBench(EngineParts& parts) : parts_(parts) {}

  // Seconds of a step (a whole prompt, or a decode step) in one repetition.
  double run(const StepTest& test);
  // The same of the device alone, of the test that ran last; 0 where it is the host.
  double device_seconds(const StepTest& test);
  // What a step of it reads and computes, its name and sizes.
  BenchRow row_of(const StepTest& test) const;

 private:
  double run_prefill(const StepTest& test);
  double run_decode(const StepTest& test);
  SequenceMemory open(std::int64_t tokens);
  void add_work(BenchRow& row, std::int64_t rows, std::int64_t logit_rows, double context) const;
  TokenId next_token();

  EngineParts& parts_;
  SampleRow greedy_;
  std::uint64_t random_ = 1;
};

}  // namespace millrace::cli
