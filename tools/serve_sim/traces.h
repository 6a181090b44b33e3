// Workloads: what is asked when, and what is answered, as token ids from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/token.h"

namespace millrace::sim {

struct TracedRequest {
  double arrival = 0;  // seconds; of a later turn: after the turn before has ended
  std::int64_t conversation = 0;
  std::int64_t turn = 0;
  std::vector<TokenId> prompt;
  std::vector<TokenId> answer;
  int priority = 0;
};

// In order of conversations, turns of one after another.
using Trace = std::vector<TracedRequest>;

struct TraceOptions {
  std::int64_t conversations = 100;
  std::int64_t turns = 10;
  std::int64_t system_tokens = 1200;  // shared by all
  std::int64_t user_tokens = 60;      // a turn, on average: a message or a tool's result
  std::int64_t answer_tokens = 150;   // likewise, of which `thought_tokens` are thought
  std::int64_t thought_tokens = 0;    // left out of the history by the template
  double edits = 0;  // share of turns that change something earlier and go on there
  double rate = 1;   // conversations a second, at random
  double pause = 2;  // seconds between an answer and the next turn
  std::uint64_t seed = 1;
  std::int64_t vocab = 1000;
};

Trace conversations(const TraceOptions& options);
// Prompts of `prompt_tokens` that share nothing, each once: sizes vary by a factor of two either
// way.
Trace single_prompts(std::int64_t count, std::int64_t prompt_tokens, std::int64_t answer_tokens,
                     double rate, std::uint64_t seed);

// The same, all at once behind a request of one token: what run_on_engine() does.
Trace behind_plug(Trace trace);

}  // namespace millrace::sim
