#include "engine/pooling.h"

namespace millrace {

void Pool::add(std::span<const float> state) {
  if (count_ == 0 || pooling_ == Pooling::Last) {
    sum_.assign(state.begin(), state.end());
    count_ = 1;
    return;
  }
  for (std::size_t i = 0; i < state.size(); ++i) sum_[i] += double{state[i]};
  ++count_;
}

std::vector<float> Pool::result() const {
  std::vector<float> mean(sum_.size());
  for (std::size_t i = 0; i < mean.size(); ++i)
    mean[i] = static_cast<float>(sum_[i] / static_cast<double>(count_));
  return mean;
}

}  // namespace millrace
