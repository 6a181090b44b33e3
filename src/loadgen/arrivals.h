// When sessions begin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::loadgen {

struct Load {
  enum class Kind {
    Closed,   // `users` at once; each begins its next session when one has ended
    Poisson,  // sessions come by themselves, `rate` a second
    Ramp,     // the same, the rate growing evenly from `rate` to `end_rate`
  };
  Kind kind = Kind::Closed;
  std::int64_t users = 1;
  double rate = 1, end_rate = 1;

  // "concurrency 16", "rate 4/s", "rate 1/s to 8/s"
  std::string label() const;
};

// Seconds from the start at which each of `count` sessions begins, ascending; all 0 for a closed
// loop.
std::vector<double> arrivals(const Load& load, std::int64_t count, std::uint64_t seed);

}  // namespace millrace::loadgen
