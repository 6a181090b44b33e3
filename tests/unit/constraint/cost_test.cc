// What a constraint costs, over a vocabulary as large as LFM2's. Not a test: run it with
//   constraint_test --gtest_also_run_disabled_tests --gtest_filter='*CostPerToken*'
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/json.h"
#include "constraint/call_grammar.h"
#include "constraint/constraint.h"

namespace millrace::testing {
namespace {

// 65,536 tokens: bytes, words with and without a blank before them, numbers, punctuation in a row.
GrammarCompiler large_compiler() {
  GgufTokenizer gguf = {.model = "gpt2", .pre = "lfm2"};
  std::vector<std::string>& tokens = gguf.tokens;
  tokens = {"<|end|>", "<|tool_call_start|>", "<|tool_call_end|>"};
  for (char c = '!'; c <= '~'; ++c) tokens.emplace_back(1, c);
  const std::string blank = "\xc4\xa0", line = "\xc4\x8a";
  tokens.push_back(blank);
  tokens.push_back(line);
  for (int i = 10; i < 10000; ++i) tokens.push_back(std::to_string(i));
  const std::string signs = "\"'()[]{},:=._-";
  for (const char a : signs)
    for (const char b : signs) tokens.push_back({a, b});
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b)
      for (char c = 'a'; c <= 'z'; ++c)
        for (const std::string& before : {std::string(), blank})
          tokens.push_back(before + a + b + c);
  std::mt19937 random(1);
  while (tokens.size() < 65536) {
    std::string word = random() % 2 ? blank : "";
    for (std::size_t i = 4 + random() % 5; i > 0; --i)
      word += static_cast<char>('a' + random() % 26);
    tokens.push_back(std::move(word));
  }
  std::sort(tokens.begin() + 3, tokens.end());
  tokens.erase(std::unique(tokens.begin() + 3, tokens.end()), tokens.end());
  gguf.token_types.assign(tokens.size(), 1);
  for (std::size_t i = 0; i < 3; ++i) gguf.token_types[i] = 3;
  auto tokenizer = Tokenizer::from_gguf(gguf, "large");
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return {std::move(*tokenizer), 65536, {0}};
}

TEST(Constraint, DISABLED_CostPerToken) {
  const GrammarCompiler compiler = large_compiler();
  const Json tools =
      Json::parse(R"([{"function": {"name": "get_weather", "parameters": {"properties":
    {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}}, "required": ["city"]}}},
    {"function": {"name": "search", "parameters": {"properties": {"query": {"type": "string"}, "filters": {"type": "array",
    "items": {"type": "object", "properties": {"field": {"type": "string"}, "value": {}}}}}}}}])");
  const std::pair<const char*, GrammarSource> sources[] = {
      {"schema",
       {.kind = GrammarSource::Kind::JsonSchema, .text = R"({"type": "object", "properties": {
         "name": {"type": "string"}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
         "required": ["name", "age", "tags"]})"}},
      {"calls", *call_source(tools, {.begins_with_mark = true}, 1, 2)},
      {"regex", {.kind = GrammarSource::Kind::Regex, .text = "[a-z ]{20,200}"}},
  };
  using Clock = std::chrono::steady_clock;
  for (const auto& [name, source] : sources) {
    const auto start = Clock::now();
    const auto grammar = compiler.compile(source);
    ASSERT_TRUE(grammar.has_value()) << grammar.error().message;
    const auto compiled = Clock::now();
    std::vector<double> times;
    std::vector<std::uint32_t> mask(static_cast<std::size_t>(mask_words(65536)));
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      std::mt19937_64 random(seed);
      const auto matcher = (*grammar)->matcher();
      for (int step = 0; step < 100; ++step) {
        const auto before = Clock::now();
        matcher->fill(mask);
        const auto filled = Clock::now();
        auto token = static_cast<TokenId>(random() % 65536);
        for (int i = 0; i < 65536 && !mask_has(mask, token); ++i) token = (token + 1) % 65536;
        const auto chosen = Clock::now();
        if (!matcher->accept(token) || token == 0) break;
        times.push_back(
            std::chrono::duration<double, std::micro>((filled - before) + (Clock::now() - chosen))
                .count());
      }
    }
    std::sort(times.begin(), times.end());
    double sum = 0;
    for (const double t : times) sum += t;
    fmt::print(
        "{}: compiled in {:.1f} ms; mask and accept, {} tokens: mean {:.1f} us, median {:.1f}, p99 "
        "{:.1f}\n",
        name, std::chrono::duration<double, std::milli>(compiled - start).count(), times.size(),
        sum / static_cast<double>(times.size()), times[times.size() / 2],
        times[times.size() * 99 / 100]);
  }
}

}  // namespace
}  // namespace millrace::testing
