#include "loadgen/arrivals.h"

#include <fmt/format.h>

#include <cmath>

#include "loadgen/random.h"

namespace millrace::loadgen {

std::string Load::label() const {
  switch (kind) {
    case Kind::Closed:
      return fmt::format("concurrency {}", users);
    case Kind::Poisson:
      return fmt::format("rate {:g}/s", rate);
    case Kind::Ramp:
      return fmt::format("rate {:g}/s to {:g}/s", rate, end_rate);
  }
  return "";
}

std::vector<double> arrivals(const Load& load, std::int64_t count, std::uint64_t seed) {
  std::vector<double> times(static_cast<std::size_t>(count), 0.0);
  if (load.kind == Load::Kind::Closed) return times;
  Random random(seed);
  const double a = load.rate;
  const double b = load.kind == Load::Kind::Ramp ? load.end_rate : load.rate;
  // A Poisson process of unit rate, whose time is bent: by the time t the ramp expects
  // L(t) = a t + (b - a) t^2 / (2 T) arrivals, with T such that L(T) = count; then b a second.
  const double whole = 2 * static_cast<double>(count) / (a + b);
  const double bend = (b - a) / (2 * whole);
  double expected = 0;
  for (double& time : times) {
    expected += random.exponential();
    if (expected >= static_cast<double>(count))
      time = whole + (expected - static_cast<double>(count)) / b;
    else if (std::abs(bend) < 1e-12 * a)
      time = expected / a;
    else
      time = (std::sqrt(a * a + 4 * bend * expected) - a) / (2 * bend);
  }
  return times;
}

}  // namespace millrace::loadgen
