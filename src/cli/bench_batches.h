// `millrace bench --concurrency`: batches of equal requests through the whole engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/model_options.h"

namespace millrace::cli {

struct BatchOptions {
  std::vector<std::int64_t> concurrency;
  std::int64_t input = 1024;  // tokens of a prompt, random
  std::int64_t output = 256;  // tokens of an answer
  std::int64_t brief = 32;    // of the shorter answers that the time of a token is derived with
  int repetitions = 3;
  SamplingParams sampling;  // greedy unless said otherwise
  bool json = false;
  std::string trace;  // a file for the step thread's timeline
};

// For each concurrency c all requests are submitted at once; t(n) is the time until all have n
// tokens, the median of fresh prompts. Printed are
//   TPOT     (t(output) - t(brief)) / (output - brief)
//   output   c * output / t(output), prompts included
//   decode   c / TPOT
//   prefill  c * input / t(1)
Status bench_batches(const ModelOptions& model, const BatchOptions& options);

}  // namespace millrace::cli
