// One vector for a text: an embedding, from the model's states after the final norm.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace millrace {

enum class Pooling {
  Last,  // the last token's state, which has seen all others
  Mean,  // of all tokens' states
};

class Pool {
 public:
  explicit Pool(Pooling pooling) : pooling_(pooling) {}

  Pooling pooling() const { return pooling_; }
  // The prompt is computed from its beginning, or what is cached of it.
  void restart() { count_ = 0; }
  // States [hidden] in order of tokens.
  void add(std::span<const float> state);
  std::vector<float> result() const;

 private:
  Pooling pooling_;
  std::vector<double> sum_;
  std::int64_t count_ = 0;
};

}  // namespace millrace
