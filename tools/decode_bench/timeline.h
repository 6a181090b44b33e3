// Clock stamps from inside a decode step (DecodeStamp), as a table and as a picture: where does a
// multiprocessor wait, and for what?
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/decode_step/decode_plan.h"

namespace millrace {

class Timeline {
 public:
  // `stamps` is [processors][phases][kDecodeStamps]; the step took `microseconds`, which gives the
  // clock its unit.
  Timeline(const DecodePlan& plan, std::vector<std::int64_t> stamps, double microseconds);

  // Medians by kind of phase.
  std::string table() const;
  // A row for every `every`th multiprocessor.
  std::string svg(int every = 4) const;
  // For ui.perfetto.dev or chrome://tracing.
  std::string perfetto() const;

 private:
  // What the waves that multiply do, one after another; then the output on its way.
  struct Slice {
    const char* name;
    const char* colour;
    double begin, end;  // microseconds
  };
  std::int64_t stamp(int processor, std::size_t phase, int which) const;
  double at(int processor, std::size_t phase, int which) const;
  bool took_part(int processor, std::size_t phase) const;
  std::vector<Slice> slices(int processor, std::size_t phase) const;

  DecodePlan plan_;
  std::vector<std::int64_t> stamps_;
  std::vector<std::int64_t> starts_;  // by multiprocessor: their clocks differ
  double ticks_per_microsecond_ = 1;
};

}  // namespace millrace
