// What requests share and how they get on with each other, through the public API.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "checkpoint/safetensors.h"
#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;

EngineOptions options_for(std::int64_t sequences = 4) {
  EngineOptions options = exact_engine_options(repository_path("models/nano"));
  options.threads = 1;
  options.max_sequences = sequences;
  options.context = 512;
  options.poison_freed_memory = true;
  return options;
}

Completion ask(Engine& engine, Request request) {
  return value_or_die(engine.submit(std::move(request), nullptr)).wait();
}

std::vector<TokenId> text(std::int64_t count, int salt = 0) {
  std::vector<TokenId> tokens;
  for (std::int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<TokenId>(10 + (i * 37 + salt * 101 + i * i % 13) % 900));
  return tokens;
}

std::vector<TokenId> operator+(std::vector<TokenId> a, const std::vector<TokenId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Request request_of(std::vector<TokenId> prompt, std::int64_t max_tokens = 4) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  return request;
}

TEST(Serving, ADivergentEndHitsUpToItsFirstToken) {
  const auto engine = value_or_die(Engine::open(options_for()));
  ask(*engine, request_of(text(300)));
  for (const std::int64_t cut : {299, 290, 288, 257, 100}) {
    std::vector<TokenId> prompt = text(300);
    prompt.resize(static_cast<std::size_t>(cut));
    const Completion answer = ask(*engine, request_of(prompt + text(20, 7)));
    EXPECT_EQ(answer.usage.cached_tokens, cut);
    // Of the first 303 tokens' conv columns the last nine are there.
    EXPECT_EQ(answer.usage.replayed_tokens > 0, cut < 299) << cut;
  }
}

TEST(Serving, ANextTurnReplaysNothing) {
  const auto engine = value_or_die(Engine::open(options_for()));
  std::vector<TokenId> history = text(40);
  for (int turn = 0; turn < 6; ++turn) {
    const Completion answer = ask(*engine, request_of(history, 10));
    EXPECT_EQ(answer.usage.replayed_tokens, 0) << "turn " << turn;
    if (turn > 0) {
      EXPECT_GE(answer.usage.cached_tokens, std::ssize(history) - 13);
    }
    history = history + answer.tokens + text(12, turn);
  }
}

// A ring of K-1+7 columns: seven tokens can go without a replay.
TEST(Serving, AStrippedEndIsUndone) {
  const auto engine = value_or_die(Engine::open(options_for()));
  const Completion answer = ask(*engine, request_of(text(40), 10));
  std::vector<TokenId> next = text(40) + answer.tokens;
  next.resize(next.size() - 4);
  const Completion second = ask(*engine, request_of(next + text(9, 3)));
  EXPECT_EQ(second.usage.cached_tokens, 46);
  EXPECT_EQ(second.usage.replayed_tokens, 0);
}

TEST(Serving, RequestsAtOnceComputeTheirCommonPromptOnce) {
  const auto engine = value_or_die(Engine::open(options_for(6)));
  std::vector<Answer> answers;
  for (int i = 0; i < 6; ++i)
    answers.push_back(value_or_die(engine->submit(request_of(text(200) + text(5, i), 8), nullptr)));
  std::int64_t cached = 0;
  for (Answer& answer : answers) cached += answer.wait().usage.cached_tokens;
  EXPECT_GE(cached, 5 * 192) << "five of six share its whole blocks";
  // And hold it once.
  EXPECT_LE(engine->stats().cached_blocks, 13 + 6 * 2);
}

TEST(Serving, SaltsShareNothing) {
  const auto engine = value_or_die(Engine::open(options_for()));
  Request request = request_of(text(100));
  request.cache_salt = "tenant a";
  const Completion first = ask(*engine, request);
  EXPECT_EQ(ask(*engine, request).usage.cached_tokens, 99);
  request.cache_salt = "tenant b";
  const Completion other = ask(*engine, request);
  EXPECT_EQ(other.usage.cached_tokens, 0);
  EXPECT_EQ(other.tokens, first.tokens);
}

TEST(Serving, AResetForgets) {
  const auto engine = value_or_die(Engine::open(options_for()));
  ask(*engine, request_of(text(100)));
  EXPECT_GT(engine->stats().cached_blocks, 0);
  ASSERT_TRUE(engine->reset_prefix_cache().has_value());
  EXPECT_EQ(ask(*engine, request_of(text(100))).usage.cached_tokens, 0);
}

// Answers without max_tokens reserve nothing but what they fill: as many as there are slots run at
// once in a cache for one context.
TEST(Serving, AnAnswerTakesMemoryAsItGrows) {
  EngineOptions options = options_for(8);
  options.cache_tokens = 512;
  const auto engine = value_or_die(Engine::open(options));
  std::vector<Answer> answers;
  std::atomic<int> begun = 0, most = 0;
  for (int i = 0; i < 8; ++i) {
    Request request = request_of(text(20, i), 0);
    answers.push_back(value_or_die(engine->submit(std::move(request), [&](const TokenEvent& event) {
      most = std::max(most.load(), static_cast<int>(engine->stats().running));
      if (event.completion == nullptr) ++begun;
    })));
  }
  while (begun < 200) std::this_thread::yield();
  for (Answer& answer : answers) answer.cancel();
  for (Answer& answer : answers) answer.wait();
  EXPECT_EQ(most, 8);
}

TEST(Serving, TheMoreUrgentComeFirst) {
  const auto engine = value_or_die(Engine::open(options_for(1)));
  std::vector<int> order;
  std::vector<Answer> answers;
  std::atomic<bool> go = false;
  const auto submit = [&](int name, int priority) {
    Request request = request_of(text(10, name), 3);
    request.priority = priority;
    answers.push_back(
        value_or_die(engine->submit(std::move(request), [&, name](const TokenEvent& e) {
          while (!go) std::this_thread::yield();
          if (e.finish) order.push_back(name);
        })));
  };
  submit(0, 0);
  submit(1, 5);
  submit(2, 0);
  submit(3, -5);
  go = true;
  for (Answer& answer : answers) answer.wait();
  EXPECT_EQ(order, (std::vector<int>{3, 0, 2, 1}));
}

TEST(Serving, ALateAnswerEndsAsFarAsItIs) {
  const auto engine = value_or_die(Engine::open(options_for()));
  Request request = request_of(text(10), 0);
  request.timeout_seconds = 0.05;
  const Completion answer = value_or_die(engine->submit(std::move(request), [](const TokenEvent&) {
                              std::this_thread::sleep_for(std::chrono::milliseconds(5));
                            })).wait();
  EXPECT_EQ(answer.finish, FinishReason::TimedOut);
  EXPECT_GT(answer.tokens.size(), 0u);
  EXPECT_LT(answer.tokens.size(), 40u);
}

TEST(Serving, WhatIsCancelledIsFreeAtOnce) {
  EngineOptions options = options_for();
  options.keep_prefixes = false;
  const auto engine = value_or_die(Engine::open(options));
  const std::int64_t free = engine->stats().kv_capacity_tokens / 16;
  std::optional<Answer> answer;
  std::atomic<bool> ready = false;
  std::uint64_t at = 0;
  int events = 0;
  answer = value_or_die(engine->submit(request_of(text(60), 0), [&](const TokenEvent&) {
    while (!ready) std::this_thread::yield();
    if (++events != 4) return;
    at = engine->stats().steps;
    answer->cancel();
  }));
  ready = true;
  EXPECT_EQ(answer->wait().finish, FinishReason::Cancelled);
  // The next request sees its numbers published.
  ask(*engine, request_of(text(5), 1));
  EXPECT_LE(engine->stats().steps, at + 4);
  ASSERT_TRUE(engine->reset_prefix_cache().has_value());
  while (engine->stats().free_blocks != free) std::this_thread::yield();
}

TEST(Serving, BadRequestsAreRefusedByName) {
  const auto engine = value_or_die(Engine::open(options_for()));
  const auto error_of = [&](Request request) {
    return engine->submit(std::move(request), nullptr).error().message;
  };
  Request request = request_of({1, 2});
  request.draft_tokens = 8;
  EXPECT_EQ(error_of(request), "draft_tokens: found 8, expected 0 to 7");
  request = request_of({1, 2});
  request.priority = 2'000'000;
  EXPECT_EQ(error_of(request), "priority: found 2000000, expected -1000000 to 1000000");
}

class SessionFile : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }
  std::string path_ =
      fs::temp_directory_path() / ("millrace-session-" + std::to_string(::getpid()));
};

TEST_F(SessionFile, AnotherProcessGoesOn) {
  std::vector<TokenId> history = text(75);
  Completion wanted;
  {
    const auto engine = value_or_die(Engine::open(options_for()));
    const Completion answer = ask(*engine, request_of(history, 6));
    history = history + answer.tokens;
    // The last token of an answer was never run.
    EXPECT_EQ(value_or_die(engine->save_session(path_, history, "")), std::ssize(history) - 1);
    wanted = ask(*engine, request_of(history + text(9, 2), 12));
  }
  const auto engine = value_or_die(Engine::open(options_for()));
  const std::vector<TokenId> loaded = value_or_die(engine->load_session(path_, ""));
  EXPECT_EQ(loaded, std::vector<TokenId>(history.begin(), history.end() - 1));
  const Completion got = ask(*engine, request_of(history + text(9, 2), 12));
  EXPECT_EQ(got.tokens, wanted.tokens);
  EXPECT_EQ(got.usage.cached_tokens, std::ssize(loaded));
  EXPECT_EQ(got.usage.replayed_tokens, 0);
  // Up to an earlier token, and under a salt of its own.
  std::vector<TokenId> edited = history;
  edited.resize(50);
  EXPECT_EQ(ask(*engine, request_of(edited + text(9, 3))).usage.cached_tokens, 50);
  Request salted = request_of(history);
  salted.cache_salt = "x";
  EXPECT_EQ(ask(*engine, salted).usage.cached_tokens, 0);
}

TEST_F(SessionFile, KeysAndValuesInFp8AreKeptToo) {
  EngineOptions options = options_for();
  options.kv_dtype = DType::F8_E4M3;
  std::vector<TokenId> history = text(75);
  Completion wanted;
  {
    const auto engine = value_or_die(Engine::open(options));
    history = history + ask(*engine, request_of(history, 6)).tokens;
    ASSERT_TRUE(engine->save_session(path_, history, "").has_value());
    wanted = ask(*engine, request_of(history + text(9, 2), 12));
  }
  const auto engine = value_or_die(Engine::open(options));
  const auto loaded = engine->load_session(path_, "");
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  const Completion got = ask(*engine, request_of(history + text(9, 2), 12));
  EXPECT_EQ(got.tokens, wanted.tokens);
  EXPECT_EQ(got.usage.cached_tokens, std::ssize(history) - 1);

  // What is a NaN to some GPU.
  const auto file = value_or_die(open_safetensors(path_));
  for (const std::byte bad : {std::byte{0x7f}, std::byte{0xff}, std::byte{0x80}}) {
    std::vector<NamedTensor> tensors = file->tensors();
    std::vector<std::byte> changed;
    for (NamedTensor& tensor : tensors) {
      if (tensor.name != "layer.0.value") continue;
      changed.assign(tensor.view.as<std::byte>(),
                     tensor.view.as<std::byte>() + tensor.view.bytes());
      changed[5] = bad;
      tensor.view.data = changed.data();
    }
    const std::string path = path_ + ".bad";
    ASSERT_TRUE(write_safetensors(path, tensors).has_value());
    const auto refused = engine->load_session(path, "");
    fs::remove(path);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("no number"), std::string::npos);
  }
  // A cache of another type does not take it.
  const auto other = value_or_die(Engine::open(options_for()));
  EXPECT_NE(other->load_session(path_, "").error().message.find("kv dtype"), std::string::npos);
}

TEST_F(SessionFile, WhatDoesNotBelongIsRefusedByName) {
  const auto engine = value_or_die(Engine::open(options_for()));
  const auto error = [&] { return engine->load_session(path_, "").error().message; };
  EXPECT_NE(error().find(path_), std::string::npos);
  EXPECT_EQ(engine->save_session(path_, text(5), "").error().message,
            path_ + ": nothing of the conversation is in the cache");
  ask(*engine, request_of(text(40)));
  ASSERT_TRUE(engine->save_session(path_, text(40), "").has_value());
  ASSERT_TRUE(engine->load_session(path_, "").has_value());

  // Another model's.
  EngineOptions other = options_for();
  other.model = data_path("golden/dense_f32");
  other.context = 128;
  const auto stranger = value_or_die(Engine::open(other));
  EXPECT_NE(stranger->load_session(path_, "").error().message.find("model fingerprint"),
            std::string::npos);

  // Values that are no numbers, tokens out of range, shapes that are not the cache's.
  const auto file = value_or_die(open_safetensors(path_));
  const auto with = [&](const std::string& name, auto change) {
    std::vector<NamedTensor> tensors;
    std::vector<std::byte> changed;
    for (const NamedTensor& tensor : file->tensors()) {
      tensors.push_back(tensor);
      if (tensor.name != name) continue;
      changed.assign(tensor.view.as<std::byte>(),
                     tensor.view.as<std::byte>() + tensor.view.bytes());
      tensors.back().view.data = changed.data();
      change(tensors.back(), changed);
    }
    const std::string bad = path_ + ".bad";
    EXPECT_TRUE(write_safetensors(bad, tensors).has_value());
    const auto loaded = engine->load_session(bad, "");
    fs::remove(bad);
    return loaded ? std::string("loaded") : loaded.error().message;
  };
  EXPECT_NE(with("layer.0.key",
                 [](NamedTensor&, std::vector<std::byte>& bytes) {
                   std::fill_n(bytes.begin(), 4, std::byte{0xff});
                 })
                .find("no number"),
            std::string::npos);
  EXPECT_NE(with("millrace.tokens",
                 [](NamedTensor&, std::vector<std::byte>& bytes) {
                   std::fill_n(bytes.begin(), 4, std::byte{0x7f});
                 })
                .find("millrace.tokens holds"),
            std::string::npos);
  EXPECT_NE(with("layer.0.value",
                 [](NamedTensor& tensor, std::vector<std::byte>&) {
                   tensor.view.shape = {tensor.view.shape.elements()};
                 })
                .find("layer.0.value is"),
            std::string::npos);
  EXPECT_NE(with("conv.1",
                 [](NamedTensor& tensor, std::vector<std::byte>&) { tensor.name = "something"; })
                .find("conv.1"),
            std::string::npos);

  // Cut anywhere, it is refused.
  const auto size = fs::file_size(path_);
  for (const auto part : {0.0, 0.3, 0.9}) {
    fs::resize_file(path_, static_cast<std::uintmax_t>(static_cast<double>(size) * part));
    EXPECT_NE(error().find(path_), std::string::npos);
  }
}

}  // namespace
}  // namespace millrace::testing
