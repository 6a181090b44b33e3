// How much of a trace's prompts a prefix cache can reuse, by the rule it follows for the conv
// state. Keys and values are all kept; what differs is where a hybrid may go on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/serve_sim/traces.h"

namespace millrace::sim {

struct ReuseRule {
  std::string name;
  // Ours: any token, with a replay of that many tokens unless a state is there. -1: no replay, only
  // where a state was kept.
  std::int64_t replay = -1;
  // Where states are kept: at multiples of `grid` (0: nowhere), at the ends of steps of `step`
  // prompt tokens, cut to blocks of `block`, and at the ends of prompts and answers.
  std::int64_t grid = 0;
  std::int64_t step = 0;
  std::int64_t block = 1;
  bool prompt_ends = false;
  bool answer_ends = false;
};

struct Reuse {
  std::int64_t prompt = 0, hit = 0, computed = 0, replayed = 0;
};

Reuse reuse_of(const Trace& trace, const ReuseRule& rule);

}  // namespace millrace::sim
