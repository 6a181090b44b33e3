// `millrace bench --peer`: another engine's own benchmark, asked the same between our repetitions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace millrace::cli {

// What one repetition of a test does.
struct PeerTest {
  std::int64_t prefill = 0;  // tokens of a prompt; 0: decodes instead
  std::int64_t context = 0;  // cached positions before decoding
  std::int64_t steps = 0;    // decoded tokens
};

// llama.cpp's llama-bench.
class LlamaBench {
 public:
  struct Options {
    std::string program;  // a path, or a name in PATH
    std::string model;    // a GGUF file
    int threads = 1;
    std::vector<std::string> arguments;  // further ones, passed on
  };
  explicit LlamaBench(Options options) : options_(std::move(options)) {}

  // Tokens a second of one repetition, in a process of its own; it warms up first.
  Result<double> run(const PeerTest& test);
  // "llama.cpp 1a2b3c4 (5678), lfm2 1.2B Q4_0, CPU": as it called itself last.
  const std::string& name() const { return name_; }

 private:
  Options options_;
  std::string name_;
};

}  // namespace millrace::cli
