// Whatever requests share, are put off by, guess or come after: each gets the answer that it gets
// alone from a cold engine. Bit for bit, since log probabilities are compared too, wherever kernels
// compute a row alike in every company. Memory that is given up is overwritten, so that whoever
// reads what is not theirs, shows it; and pools abort when a reference leaks.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/engine.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_device.h"

namespace millrace::testing {
namespace {

struct Setting {
  std::string device;
  std::string model;
  std::optional<bool> overlap;
};

std::vector<Setting> settings(bool slow_ones_too) {
  std::vector<Setting> all;
  for (const std::string& device : test_device_names()) {
    if (device == "emulated") {  // slow
      if (!slow_ones_too || kIsSanitized) continue;
      all.push_back({device, "golden/dense_bf16", true});
      continue;
    }
    for (const char* model : {"golden/dense_f32", "golden/dense_k4", "golden/moe_f32"})
      all.push_back({device, model, {}});
    all.push_back({device, "golden/dense_bf16", true});
  }
  return all;
}

class CacheProperty : public ::testing::TestWithParam<Setting> {
 protected:
  bool is_slow() const { return GetParam().device == "emulated"; }

  EngineOptions options() const {
    EngineOptions o;
    o.model = data_path(GetParam().model);
    o.device = GetParam().device;
    o.kernels = exact_kernels(o.device);
    o.threads = 1;  // small models
    o.context = 160;
    o.max_sequences = 5;
    o.cache_tokens = 800;
    o.step_budget = 48;
    o.overlap = GetParam().overlap;
    o.poison_freed_memory = true;
    return o;
  }

  std::mt19937 random_{17};
  std::int64_t draw(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  // Prompts that begin like earlier ones, up to any token.
  std::vector<TokenId> next_prompt() {
    std::vector<TokenId> prompt;
    if (!texts_.empty() && draw(0, 9) > 0) {
      prompt = texts_[static_cast<std::size_t>(draw(0, std::ssize(texts_) - 1))];
      prompt.resize(static_cast<std::size_t>(draw(0, std::ssize(prompt))));
    }
    const std::int64_t more = draw(1, is_slow() ? 12 : 40);
    for (std::int64_t i = 0; i < more && prompt.size() < 110; ++i)
      prompt.push_back(static_cast<TokenId>(draw(3, 600)));
    return prompt;
  }
  Request next_request(bool draws = true) {
    Request request;
    request.prompt = next_prompt();
    request.max_tokens = draw(1, is_slow() ? 4 : 20);
    request.ignore_eos = true;
    if (draws && draw(0, 1) == 1) {
      request.sampling.temperature = 0.8;
      request.sampling.top_k = 20;
      request.sampling.seed = static_cast<std::uint64_t>(draw(1, 1000));
      if (draw(0, 2) == 0) request.sampling.repetition_penalty = 1.2;
    }
    if (draw(0, 1) == 1) request.sampling.logprobs = 0;
    return request;
  }

  struct Told {
    std::vector<TokenId> tokens;
    std::vector<float> logprobs;
    bool operator==(const Told&) const = default;
  };
  // Submits; `told` is complete when the answer has ended.
  static Answer submit(Engine& engine, Request request, Told& told) {
    return value_or_die(engine.submit(std::move(request), [&told](const TokenEvent& event) {
      if (!event.token) return;
      told.tokens.push_back(event.token->token);
      told.logprobs.push_back(event.token->logprob);
    }));
  }
  // What a request gets alone, from an engine that keeps nothing.
  Told alone(const Request& request) {
    if (!cold_) {
      EngineOptions o = options();
      o.keep_prefixes = false;
      o.overlap = false;
      cold_ = value_or_die(Engine::open(o));
    }
    Told told;
    Request plain = request;
    plain.draft_tokens = 0;
    submit(*cold_, plain, told).wait();
    return told;
  }

  // Rounds of requests that run together, each checked against itself alone.
  void run(Engine& engine, int rounds, const std::function<void(Request&)>& change = {}) {
    for (int round = 0; round < rounds; ++round) {
      const auto count = static_cast<std::size_t>(is_slow() ? 3 : draw(1, 8));
      std::vector<Request> requests(count);
      std::vector<Told> told(count);
      std::vector<Answer> answers;
      for (std::size_t i = 0; i < count; ++i) {
        requests[i] = next_request();
        if (i > 0 && draw(0, 3) == 0) requests[i].prompt = requests[i - 1].prompt;
        if (change) change(requests[i]);
        answers.push_back(submit(engine, requests[i], told[i]));
      }
      for (std::size_t i = 0; i < count; ++i) {
        const Completion& completion = answers[i].wait();
        ASSERT_EQ(completion.finish, FinishReason::Length) << completion.error;
        ASSERT_EQ(told[i], alone(requests[i])) << "round " << round << ", request " << i;
        texts_.push_back(requests[i].prompt);
        texts_.back().insert(texts_.back().end(), told[i].tokens.begin(), told[i].tokens.end());
        cached_ += completion.usage.cached_tokens;
        replayed_ += completion.usage.replayed_tokens;
      }
      if (round % 7 == 6) {
        ASSERT_TRUE(engine.reset_prefix_cache().has_value());
      }
    }
  }

  std::vector<std::vector<TokenId>> texts_;
  std::unique_ptr<Engine> cold_;
  std::int64_t cached_ = 0, replayed_ = 0;
};

// What many rounds have to show, and no device does in a way of its own: not where rounds are slow.
class CacheBookkeeping : public CacheProperty {};

TEST_P(CacheProperty, AHitIsCold) {
  const auto engine = value_or_die(Engine::open(options()));
  run(*engine, is_slow() ? 2 : 16);
  if (is_slow()) return;
  EXPECT_GT(cached_, 300) << "the test must not pass by never hitting";
  EXPECT_GT(replayed_, 100);
}

// A cache of one and a half contexts for five requests: somebody is always put off.
TEST_P(CacheBookkeeping, PutOffIsNot) {
  EngineOptions o = options();
  o.cache_tokens = 240;
  const auto engine = value_or_die(Engine::open(o));
  run(*engine, 8, [&](Request& request) { request.max_tokens = draw(20, 48); });
  EXPECT_GT(engine->stats().preemptions, 0u);
}

// Looks up, and where it finds nothing says anything.
class EagerDrafter final : public Drafter {
 public:
  explicit EagerDrafter(std::int64_t most_tokens) : lookup_(most_tokens) {}
  void propose(std::span<const TokenId> tokens, std::int64_t most,
               std::vector<TokenId>& drafts) override {
    lookup_.propose(tokens, most, drafts);
    while (std::ssize(drafts) < most) drafts.push_back(tokens[tokens.size() / 2]);
  }

 private:
  LookupDrafter lookup_;
};

// Guesses that are nearly always wrong.
TEST_P(CacheProperty, GuessedIsNot) {
  EngineOptions o = options();
  o.drafter = [](std::int64_t most) { return std::make_unique<EagerDrafter>(most); };
  const auto engine = value_or_die(Engine::open(o));
  run(*engine, is_slow() ? 1 : 12, [&](Request& request) {
    request.draft_tokens = static_cast<int>(draw(0, 7));
    if (draw(0, 1) == 1) {  // something to look up
      const std::vector<TokenId> piece(
          request.prompt.end() - std::min<std::ptrdiff_t>(8, std::ssize(request.prompt)),
          request.prompt.end());
      for (int i = 0; i < 3 && request.prompt.size() < 100; ++i)
        request.prompt.insert(request.prompt.end(), piece.begin(), piece.end());
    }
  });
  if (!is_slow()) {
    EXPECT_GT(engine->stats().draft_tokens, 20u);
  }
}

class KnowingDrafter final : public Drafter {
 public:
  KnowingDrafter(std::shared_ptr<std::vector<TokenId>> answer, unsigned seed)
      : answer_(std::move(answer)), random_(seed) {}
  void propose(std::span<const TokenId> tokens, std::int64_t most,
               std::vector<TokenId>& drafts) override {
    for (std::size_t i = tokens.size(); i < answer_->size() && std::ssize(drafts) < most; ++i)
      drafts.push_back(random_() % 4 == 0 ? 5 : (*answer_)[i]);
  }

 private:
  std::shared_ptr<std::vector<TokenId>> answer_;
  std::mt19937 random_;
};

TEST_P(CacheBookkeeping, GuessesThatAreOftenRightAreUsed) {
  auto answer = std::make_shared<std::vector<TokenId>>();
  EngineOptions o = options();
  o.drafter = [&, answer](std::int64_t) { return std::make_unique<KnowingDrafter>(answer, 3); };
  const auto engine = value_or_die(Engine::open(o));
  for (int round = 0; round < 6; ++round) {
    Request request = next_request();
    request.max_tokens = 24;
    const Told wanted = alone(request);
    *answer = request.prompt;
    answer->insert(answer->end(), wanted.tokens.begin(), wanted.tokens.end());
    request.draft_tokens = 7;
    Told told;
    Answer handle = submit(*engine, request, told);
    const Completion& completion = handle.wait();
    EXPECT_EQ(told, wanted);
    EXPECT_GT(completion.usage.accepted_draft_tokens, 8);
    EXPECT_LT(completion.usage.accepted_draft_tokens, completion.usage.draft_tokens + 1);
  }
}

std::string name_of(const ::testing::TestParamInfo<Setting>& instance) {
  return test_name(instance.param.device) + "_" + instance.param.model.substr(7) +
         (instance.param.overlap ? "_overlap" : "");
}
INSTANTIATE_TEST_SUITE_P(Variants, CacheProperty, ::testing::ValuesIn(settings(true)), name_of);
INSTANTIATE_TEST_SUITE_P(Variants, CacheBookkeeping, ::testing::ValuesIn(settings(false)), name_of);

}  // namespace
}  // namespace millrace::testing
