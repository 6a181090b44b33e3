// Random numbers that are the same with every compiler: the standard library's distributions are
// not, and a seed must mean one workload everywhere.
#pragma once

#include <cmath>
#include <cstdint>

namespace millrace::loadgen {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood 2014).
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  // [0, 1)
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // [low, high], for ranges far below 2^64.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  // Of mean 1.
  double exponential() { return -std::log1p(-uniform()); }

 private:
  std::uint64_t state_;
};

}  // namespace millrace::loadgen
