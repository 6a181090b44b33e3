// What is asked: sessions of turns. A workload follows from options and a seed, or from a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace millrace::loadgen {

// One request. It holds exactly one of prompt, text and messages.
// clang-tidy 14 takes the library's checks in moving JSON for throws.
struct Turn {                        // NOLINT(bugprone-exception-escape)
  std::vector<std::int32_t> prompt;  // token ids, for /v1/completions
  std::string text;                  // the same as text
  // For /v1/chat/completions: put behind the conversation that turn `from` ended with, the
  // server's own answer included. So an earlier `from` edits the history, or branches off.
  Json messages;
  std::int64_t from = -1;  // an earlier turn of the session; -1: an empty conversation
  std::int64_t max_tokens = 0;
  double think_s = 0;  // between the last answer and this request
};

// The turns of a session follow each other, whatever they go on from.
struct Session {
  std::string id;
  Json body = Json::object();  // further fields of its requests: tools, temperature, ...
  std::vector<Turn> turns;
};

using Workload = std::vector<Session>;

// Requests of random token ids, or of random words where ids cannot be sent.
struct RandomOptions {
  std::int64_t count = 100;
  std::int64_t input = 1024, output = 256;  // tokens
  double range = 0;         // lengths are drawn evenly from (1 - range) to (1 + range) times these
  std::int64_t prefix = 0;  // more tokens, which all prompts begin with
  std::int64_t vocab = 0;   // ids are below; 0: text
  std::uint64_t seed = 0;
};
Workload random_workload(const RandomOptions& options);

// Agents at work: a system prompt that many share and a list of tools, then turns of questions and
// tool results. Lengths are in words.
struct AgentOptions {
  std::int64_t count = 16;
  std::int64_t turns = 8;
  std::int64_t system_prompts = 2, system_words = 200;
  std::int64_t user_words = 16, tool_words = 60;
  std::int64_t output = 64;   // tokens at most; drawn from half of this to this
  double tool_share = 0.6;    // of the turns behind the first: they bring a tool's result
  double edit_share = 0.1;    // an earlier message is written anew, and the talk goes on from there
  double branch_share = 0.1;  // a second answer to the same history
  double think_s = 0;         // mean time between an answer and the next request
  bool tools = true;          // requests list tools
  std::uint64_t seed = 0;
};
Workload agent_workload(const AgentOptions& options);

// One session a line:
//   {"id": "s0", "body": {...}, "turns": [{"messages": [...], "from": 0, "max_tokens": 64}]}
// `body`, `think_s` may be missing; `from` is then the turn before, `prompt` (token ids) or `text`
// may stand for `messages`.
std::string to_jsonl(const Workload& workload);
Result<Workload> parse_workload(std::string_view jsonl, std::string_view origin);
Result<Workload> read_workload(const std::string& path);

// Equal for equal workloads: 16 hexadecimal digits.
std::string fingerprint(const Workload& workload);

std::int64_t count_turns(const Workload& workload);

}  // namespace millrace::loadgen
