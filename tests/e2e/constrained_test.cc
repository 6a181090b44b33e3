// Constrained answers through the whole engine: with steps that overlap and without, sampled on the
// device and on the host, alone and among others.
#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"
#include "constraint/call_grammar.h"
#include "constraint/grammar_text.h"
#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "text/chat_request.h"
#include "text/tool_calls/answer_parser.h"

namespace millrace::testing {
namespace {

std::unique_ptr<Engine> open_engine(bool overlap) {
  EngineOptions options = exact_engine_options(repository_path("models/nano"));
  options.threads = 1;
  options.max_sequences = 6;
  options.context = 512;
  options.step_budget = 32;
  options.overlap = overlap;
  return value_or_die(Engine::open(options));
}

class Constraints {
 public:
  explicit Constraints(const Engine& engine)
      : compiler_(*engine.files().tokenizer, engine.files().config.vocab,
                  turn_ends(engine.files())) {}

  std::shared_ptr<Constraint> empty() const {
    auto constraint = std::make_shared<Constraint>();
    constraint->ends = compiler_.ends();
    constraint->vocab = compiler_.vocab();
    return constraint;
  }
  std::shared_ptr<const TokenGrammar> compile(const GrammarSource& source) const {
    return value_or_die(compiler_.compile(source));
  }
  std::shared_ptr<const Constraint> answer(const GrammarSource& source) const {
    auto constraint = empty();
    constraint->answer = compile(source);
    return constraint;
  }
  std::shared_ptr<const Constraint> lazy_calls(const Json& tools) const {
    auto constraint = empty();
    const TokenId begin = *compiler_.tokenizer().id_of("<|tool_call_start|>");
    const TokenId end = *compiler_.tokenizer().id_of("<|tool_call_end|>");
    constraint->calls = compile(value_or_die(call_source(tools, {}, begin, end)));
    constraint->call_begin = begin;
    return constraint;
  }

 private:
  GrammarCompiler compiler_;
};

const Json& tools() {
  static const Json kTools =
      Json::parse(R"([{"type": "function", "function": {"name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]},
    "days": {"type": "integer", "minimum": 1, "maximum": 3}}, "required": ["city", "days"]}}}])");
  return kTools;
}

std::vector<Request> requests(const Engine& engine) {
  const Constraints constraints(engine);
  const std::shared_ptr<const Constraint> shapes[] = {
      nullptr,
      constraints.answer({.kind = GrammarSource::Kind::Regex, .text = "[a-f]{10,20}"}),
      constraints.answer(choice_source(std::vector<std::string>{"yes", "no", "perhaps"})),
      constraints.lazy_calls(tools()),
      constraints.answer(
          {.kind = GrammarSource::Kind::JsonSchema,
           .text = R"({"type": "array", "items": {"type": "boolean"}, "maxItems": 9})"}),
      [&] {
        auto least = constraints.empty();
        least->min_tokens = 30;
        return least;
      }(),
  };
  ChatRequest chat;
  chat.messages = Json::parse(R"([{"role": "user", "content": "What is the weather in Oslo?"}])");
  chat.tools = tools();
  chat.add_generation_prompt = true;
  std::vector<Request> all;
  for (std::size_t i = 0; i < 36; ++i) {
    Request request;
    request.constraint = shapes[i % std::size(shapes)];
    request.prompt = i % 6 == 3 ? value_or_die(engine.chat_prompt(chat))
                                : value_or_die(engine.chat_prompt("Say something."));
    request.sampling.temperature = i % 4 == 0 ? 0 : 1.4;
    request.sampling.seed = i;
    if (i % 5 == 0) request.sampling.repetition_penalty = 1.1;
    if (i % 7 == 0) request.sampling.logprobs = 1;  // chosen by the host
    request.max_tokens = 50;
    request.skip_special_tokens = false;
    all.push_back(std::move(request));
  }
  return all;
}

std::vector<Completion> answers_of(Engine& engine, int draft_tokens = 0) {
  std::vector<Answer> answers;
  for (Request& request : requests(engine)) {
    request.draft_tokens = draft_tokens;
    answers.push_back(value_or_die(engine.submit(std::move(request), nullptr)));
  }
  std::vector<Completion> completions;
  for (Answer& answer : answers) completions.push_back(answer.wait());
  return completions;
}

TEST(Constrained, OverlapChangesNoAnswerAndAllFit) {
  const std::vector<Completion> wanted = answers_of(*open_engine(false));
  const std::vector<Completion> got = answers_of(*open_engine(true));
  int calls = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(got[i].tokens, wanted[i].tokens) << "request " << i;
    EXPECT_EQ(got[i].finish, wanted[i].finish) << "request " << i;
    const std::string& text = wanted[i].text;
    EXPECT_EQ(wanted[i].error, "");
    switch (i % 6) {
      case 1:
        EXPECT_TRUE(text.size() >= 10 && text.find_first_not_of("abcdef") == std::string::npos)
            << text;
        break;
      case 2:
        EXPECT_TRUE(text == "yes" || text == "no" || text == "perhaps") << text;
        break;
      case 3: {
        const ParsedAnswer answer = parse_answer(text, {});
        EXPECT_TRUE(answer.problems.empty() || wanted[i].finish == FinishReason::Length) << text;
        for (const ParsedCall& call : answer.calls) {
          ++calls;
          const Json arguments = Json::parse(call.arguments);
          EXPECT_TRUE(arguments["city"] == "Oslo" || arguments["city"] == "Rome") << text;
          EXPECT_TRUE(arguments["days"] >= 1 && arguments["days"] <= 3) << text;
        }
        break;
      }
      case 4:
        if (wanted[i].finish == FinishReason::Stop) {
          EXPECT_TRUE(Json::parse(text).is_array()) << text;
        }
        break;
      case 5:
        EXPECT_GT(wanted[i].tokens.size(), 30u);
        break;
      default:
        break;
    }
  }
  EXPECT_GT(calls, 0);
}

// Also where max_tokens cuts the answer: the last step is begun before the token before it is
// known.
TEST(Constrained, TheLastTokenIsHeldToo) {
  const std::unique_ptr<Engine> engine = open_engine(true);
  const Constraints constraints(*engine);
  const auto shape =
      constraints.answer({.kind = GrammarSource::Kind::Regex, .text = "(ab)*(cd)*(ab)*(cd)*"});
  for (int most = 1; most <= 12; ++most) {
    Request request;
    request.prompt = value_or_die(engine->chat_prompt("Say something."));
    request.constraint = shape;
    request.sampling.temperature = 1;
    request.sampling.seed = static_cast<std::uint64_t>(most);
    request.max_tokens = most;
    const std::string text = value_or_die(engine->submit(std::move(request), nullptr)).wait().text;
    for (std::size_t i = 0; i < text.size(); ++i)
      EXPECT_TRUE(i % 2 == 0 ? text[i] == 'a' || text[i] == 'c' : text[i] == text[i - 1] + 1)
          << text;
  }
}

TEST(Constrained, GuessesChangeNoAnswer) {
  const std::vector<Completion> wanted = answers_of(*open_engine(false));
  for (const bool overlap : {false, true}) {
    const std::vector<Completion> got = answers_of(*open_engine(overlap), 4);
    std::int64_t right = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_EQ(got[i].tokens, wanted[i].tokens) << "request " << i;
      EXPECT_EQ(got[i].finish, wanted[i].finish) << "request " << i;
      if (i % 6 != 0) right += got[i].usage.accepted_draft_tokens;
    }
    EXPECT_GT(right, 0) << "guesses are checked under masks too";
  }
}

TEST(Constrained, CancelledAnswersLeaveOthersAlone) {
  const std::vector<Completion> wanted = answers_of(*open_engine(false));
  const auto engine = open_engine(true);
  std::vector<Answer> answers;
  for (Request& request : requests(*engine))
    answers.push_back(value_or_die(engine->submit(std::move(request), nullptr)));
  for (std::size_t i = 1; i < answers.size(); i += 3) {
    if (i % 2 == 0) std::this_thread::yield();
    answers[i].cancel();
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Completion& completion = answers[i].wait();
    ASSERT_LE(completion.tokens.size(), wanted[i].tokens.size());
    EXPECT_TRUE(
        std::equal(completion.tokens.begin(), completion.tokens.end(), wanted[i].tokens.begin()))
        << "request " << i;
  }
}

TEST(Constrained, WhatFitsNobodyEndsWithAReason) {
  // Token 5 is special, and may come once; then nothing that this vocabulary has.
  class Dead final : public TokenGrammar {
    class Matcher final : public TokenMatcher {
      void fill(TokenMask mask) override { std::fill(mask.begin(), mask.end(), 0); }
      bool accept(TokenId) override { return false; }
      void rollback(int) override {}
      bool is_complete() const override { return false; }
    };
    std::unique_ptr<TokenMatcher> matcher() const override { return std::make_unique<Matcher>(); }
    std::size_t bytes() const override { return 0; }
  };
  for (const bool overlap : {false, true}) {
    const auto engine = open_engine(overlap);
    auto constraint = Constraints(*engine).empty();
    constraint->answer = std::make_shared<Dead>();
    Request request;
    request.prompt = value_or_die(engine->chat_prompt("Hi"));
    request.constraint = constraint;
    Answer answer = value_or_die(engine->submit(std::move(request), nullptr));
    EXPECT_EQ(answer.wait().finish, FinishReason::Failed);
    EXPECT_NE(answer.wait().error.find("allows no token"), std::string::npos)
        << answer.wait().error;
  }
}

TEST(Constrained, BadRequestsAreRefused) {
  const auto engine = open_engine(false);
  auto constraint = Constraints(*engine).empty();
  constraint->vocab = 7;
  Request request;
  request.prompt = value_or_die(engine->chat_prompt("Hi"));
  request.constraint = constraint;
  EXPECT_FALSE(engine->submit(std::move(request), nullptr).has_value());
}

}  // namespace
}  // namespace millrace::testing
