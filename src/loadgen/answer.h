// A streamed answer of either completions API, put together again.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace millrace::loadgen {

using Clock = std::chrono::steady_clock;

struct StreamedAnswer {
  std::string content;
  Json tool_calls = Json::array();
  std::string error;
  std::int64_t prompt_tokens = -1, cached_tokens = -1, completion_tokens = -1;
  bool finished = false;                  // a choice said why it ended
  bool done = false;                      // [DONE] came
  std::vector<Clock::time_point> pieces;  // when each piece with something of the answer came

  // One event's data, which came at `now`.
  void take(std::string_view data, Clock::time_point now);
  // The message to go on with.
  Json message() const;

 private:
  void take_tool_calls(const Json& deltas);
};

}  // namespace millrace::loadgen
