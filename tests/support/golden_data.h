// Reference data under tests/data/golden: small random checkpoints and what transformers computes
// with them (tests/data/golden/README.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "checkpoint/checkpoint.h"

namespace millrace::testing {

// The value, or a test-ending message.
template <typename T>
T value_or_die(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "test set-up failed: %s\n", result.error().message.c_str());
    std::abort();
  }
  return std::move(*result);
}

// A file of the repository, or of the folder MILLRACE_TEST_ROOT names: a bundle on another machine.
std::string repository_path(const std::string& name);
std::string data_path(const std::string& name);  // in tests/data

struct GoldenPrompt {
  std::string name;
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> greedy;
};

struct Golden {
  std::string folder;
  std::vector<GoldenPrompt> prompts;
  std::unique_ptr<Checkpoint> tensors;

  const GoldenPrompt& prompt(const std::string& name) const;
  // A float tensor by name, flat; aborts when there is none.
  std::vector<float> floats(const std::string& name) const;
  std::vector<std::int32_t> ints(const std::string& name) const;
  bool has(const std::string& name) const { return tensors->find(name) != nullptr; }
};

Golden load_golden(const std::string& variant);

}  // namespace millrace::testing
