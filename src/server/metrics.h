// Counters of the server in Prometheus' text format. Names beginning with "vllm:" mean what vLLM's
// dashboards take them for; "millrace_" ones are ours. Everything belongs to the IO thread, so that
// nothing here is atomic; that, and the format being this small, is why it is our own.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace millrace::server {

class Histogram {
 public:
  Histogram(std::initializer_list<double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

  void observe(double value);
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }

 private:
  friend class MetricsText;
  std::vector<double> bounds_;         // upper ones, ascending
  std::vector<std::uint64_t> counts_;  // one more: above all bounds
  double sum_ = 0;
  std::uint64_t count_ = 0;
};

struct Metrics {
  std::map<std::string, std::uint64_t> finished;              // by finish reason
  std::map<std::pair<std::string, int>, std::uint64_t> http;  // by path and status
  std::uint64_t rejected = 0;
  std::uint64_t disconnected = 0;
  std::uint64_t tool_calls = 0;
  std::uint64_t tool_call_problems = 0;
  std::int64_t connections = 0;
  std::int64_t streams = 0;

  Histogram time_to_first_token{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,
                                .75,  1,    2.5, 5,   7.5, 10,  20,  40, 80,  160};
  Histogram inter_token{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15,
                        .2,    .3,   .4,    .5,   .75, 1,    2.5, 5,    10};
  Histogram per_output_token{.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15,
                             .2,    .3,   .4,    .5,   .75, 1,    2.5, 5,    10};
  Histogram end_to_end{.05, .1, .3, .5, .8, 1,  1.5, 2,   2.5, 5,
                       10,  15, 20, 30, 40, 60, 120, 240, 480};
  // Parts of it: until memory was there, from then to the first token, from there to the last.
  static constexpr std::initializer_list<double> kPhaseBounds = {
      .001, .005, .01, .05, .1, .3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 60, 120, 240};
  Histogram queue_time{kPhaseBounds}, prefill_time{kPhaseBounds}, decode_time{kPhaseBounds};
  Histogram inference_time{kPhaseBounds};
  Histogram prompt_tokens{1,   2,    5,    10,   20,    50,    100,  200,
                          500, 1000, 2000, 5000, 10000, 20000, 50000};
  Histogram generation_tokens{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000};

  // The whole page. `model` is the label model_name.
  std::string text(std::string_view model, const EngineStats& engine) const;
};

}  // namespace millrace::server
