// One thread of a block that opens phases as their inputs come near completion, and gives the step
// up when it takes too long.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::MILLRACE_GPU::decode {

class Watch {
 public:
  __device__ Watch(const DecodeStepParams& p, const Block& b)
      : p_(p), b_(b), deadline_(nanoseconds() + p.patience) {}

  __device__ void run() {
    for (int phase = 1; phase < p_.phase_count; ++phase) {
      const int wanted = producers_of(p_, b_, phase - 1) - p_.slack;
      const auto is_open = [&] {
        return static_cast<int>(load_word(b_.hint(phase - 1))) >= wanted;
      };
      if (!await(phase, is_open)) return;
      *b_.opened = phase;
      stamp(p_, phase, kStampOpen, ticks());
    }
    await(p_.phase_count - 1, [&] { return *b_.finished != 0; });
  }

 private:
  template <typename Condition>
  __device__ bool await(int phase, const Condition& condition) {
    for (int looks = 1; !condition(); ++looks) {
      look_again();
      if (looks % 1024 == 0 && !has_hope(phase)) return false;
    }
    return true;
  }
  // Out of patience? Then everybody shall know.
  __device__ bool has_hope(int phase) const {
    const bool alone = load_word(p_.alarm) == 0;
    if (alone && nanoseconds() < deadline_) return true;
    if (alone) {
      const std::uint32_t alarm = decode_alarm(phase, static_cast<int>(blockIdx.x));
      store_word(p_.alarm, alarm);
      tell_host(p_.host_alarm, alarm);
    }
    *b_.stuck = 1;
    return false;
  }

  const DecodeStepParams& p_;
  const Block& b_;
  std::int64_t deadline_;
};

}  // namespace millrace::MILLRACE_GPU::decode
