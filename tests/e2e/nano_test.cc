// The model that ships answers its held-out prompts right: the whole way from messages to text.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/json.h"
#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/test_device.h"
#include "text/chat_request.h"

namespace millrace::testing {
namespace {

std::string trimmed(std::string text) {
  const auto space = [](char c) { return c == ' ' || c == '\n'; };
  while (!text.empty() && space(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  return text;
}

// tools/nano/README.md: drop a leading thought, trim, then compare.
bool passes(const Json& sample, std::string text) {
  if (text.starts_with("<think>")) {
    const auto end = text.find("</think>");
    text = end == std::string::npos ? "" : text.substr(end + 8);
  }
  text = trimmed(text);
  const Json& expected = sample.at("expected");
  if (sample.at("match") == "exact") return text == expected.get<std::string>();
  return std::all_of(expected.begin(), expected.end(), [&](const Json& part) {
    return text.find(part.get<std::string>()) != std::string::npos;
  });
}

TEST(Nano, AnswersHeldOutPrompts) {
  EngineOptions options;
  options.model = repository_path("models/nano");
  options.max_sequences = 8;
  options.device = test_device_name();
  options.threads = 2;
  const std::unique_ptr<Engine> engine = value_or_die(Engine::open(options));
  std::ifstream file(repository_path("tools/nano/heldout.jsonl"));
  std::map<std::string, std::pair<int, int>> right_of;  // category: right, all
  std::vector<std::pair<Json, Answer>> answers;
  for (std::string line; std::getline(file, line);) {
    const Json sample = value_or_die(parse_json(line, "heldout.jsonl"));
    ChatRequest chat;
    chat.messages = sample.at("messages");
    if (!sample.at("tools").empty()) chat.tools = sample.at("tools");
    chat.add_generation_prompt = true;
    Request request;
    request.prompt = value_or_die(engine->chat_prompt(chat));
    request.max_tokens = 320;
    request.skip_special_tokens = false;
    answers.emplace_back(sample, value_or_die(engine->submit(std::move(request), nullptr)));
  }
  ASSERT_GE(answers.size(), 300u);
  std::string misses;
  for (auto& [sample, answer] : answers) {
    const Completion& completion = answer.wait();
    auto& [right, all] = right_of[sample.at("category").get<std::string>()];
    ++all;
    if (passes(sample, completion.text))
      ++right;
    else
      misses += sample.at("id").get<std::string>() + ": " + completion.text + "\n";
  }
  EXPECT_GE(right_of.size(), 5u);
  for (const auto& [category, count] : right_of)
    EXPECT_GE(count.first * 10, count.second * 9)
        << category << ": " << count.first << " of " << count.second << " right\n"
        << misses;
}

}  // namespace
}  // namespace millrace::testing
