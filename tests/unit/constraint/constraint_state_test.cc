#include <algorithm>

#include "constraint/grammar_text.h"
#include "constraint/mask_workers.h"
#include "tests/unit/constraint/grammar_support.h"

namespace millrace::testing {
namespace {

constexpr TokenId kEnd = 7, kCall = 10, kCallEnd = 11, kThink = 1022, kThinkEnd = 1023;
using Kind = GrammarSource::Kind;

TokenId token(const char* text) {
  return nano_compiler().tokenizer().id_of(text).value();
}

std::shared_ptr<Constraint> empty() {
  auto constraint = std::make_shared<Constraint>();
  constraint->ends = {kEnd};
  constraint->vocab = 1024;
  return constraint;
}

std::vector<TokenId> allowed(ConstraintState& state) {
  std::vector<std::uint32_t> mask(static_cast<std::size_t>(mask_words(1024)), ~0u);
  if (state.binds()) state.fill(mask);
  std::vector<TokenId> tokens;
  for (TokenId t = 0; t < 1024; ++t)
    if (mask_has(mask, t)) tokens.push_back(t);
  return tokens;
}

bool may(ConstraintState& state, TokenId t) {
  const std::vector<TokenId> tokens = allowed(state);
  return std::find(tokens.begin(), tokens.end(), t) != tokens.end();
}

TEST(ConstraintState, MinTokensHoldsTheEndBack) {
  auto constraint = empty();
  constraint->min_tokens = 2;
  ConstraintState state(constraint);
  EXPECT_FALSE(may(state, kEnd));
  EXPECT_EQ(allowed(state).size(), 1023u);
  EXPECT_TRUE(state.accept(40));
  EXPECT_FALSE(may(state, kEnd));
  EXPECT_TRUE(state.accept(41));
  EXPECT_FALSE(state.binds());
  EXPECT_TRUE(state.is_over());
  state.rollback(1);
  EXPECT_FALSE(may(state, kEnd));
}

TEST(ConstraintState, AThoughtIsFreeAndTheAnswerIsNot) {
  auto constraint = empty();
  constraint->answer = compiled(choice_source(std::vector<std::string>{"a"}));
  constraint->thought_begin = kThink;
  constraint->thought_end = kThinkEnd;
  ConstraintState state(constraint);
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{token("a"), kThink}));
  EXPECT_TRUE(state.accept(kThink));
  EXPECT_TRUE(may(state, token("b")));
  EXPECT_TRUE(state.accept(token("b")));
  EXPECT_FALSE(may(state, kEnd)) << "a thought is no answer";
  EXPECT_FALSE(state.accept(kEnd));
  EXPECT_TRUE(state.accept(kThinkEnd));
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{token("a")}));
  EXPECT_TRUE(state.accept(token("a")));
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{kEnd}));
  state.rollback(4);
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{token("a"), kThink}));
  EXPECT_FALSE(state.accept(token("b")));
}

TEST(ConstraintState, CallsBindLazilyAndAgain) {
  auto constraint = empty();
  constraint->calls = compiled({.kind = Kind::Grammar, .text = "root ::= \"a\" Token(11)"});
  constraint->call_begin = kCall;
  ConstraintState state(constraint);
  EXPECT_FALSE(state.binds());
  EXPECT_TRUE(state.accept(token("b")));
  EXPECT_FALSE(state.binds());
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(state.accept(kCall));
    EXPECT_EQ(allowed(state), (std::vector<TokenId>{token("a")}));
    EXPECT_TRUE(state.accept(token("a")));
    EXPECT_EQ(allowed(state), (std::vector<TokenId>{kCallEnd}));
    EXPECT_TRUE(state.accept(kCallEnd));
    EXPECT_FALSE(state.binds());
  }
  // Across both blocks and back.
  state.rollback(5);
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{token("a")}));
  state.rollback(1);
  EXPECT_FALSE(state.binds());
}

TEST(ConstraintState, AnswerOrCalls) {
  auto constraint = empty();
  constraint->answer = compiled(choice_source(std::vector<std::string>{"xy"}));
  constraint->calls = compiled({.kind = Kind::Grammar, .text = "root ::= \"a\" Token(11)"});
  constraint->call_begin = kCall;
  ConstraintState state(constraint);
  EXPECT_TRUE(may(state, kCall));
  EXPECT_TRUE(state.accept(token("x")));
  EXPECT_FALSE(may(state, kCall));
  state.rollback(1);
  EXPECT_TRUE(state.accept(kCall));
  EXPECT_TRUE(state.accept(token("a")));
  EXPECT_TRUE(state.accept(kCallEnd));
  EXPECT_EQ(allowed(state), (std::vector<TokenId>{kEnd}));
}

// What a draft would have met is forgotten: masks after a rollback are those from before.
TEST(ConstraintState, RollbackLeavesNoTrace) {
  auto constraint = empty();
  constraint->answer = compiled({.kind = Kind::JsonSchema, .text = R"({"type": "object"})"});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ConstraintState once(constraint);
    const std::vector<TokenId> tokens = random_tokens(once, seed, 80);
    ConstraintState plain(constraint), undone(constraint);
    std::mt19937_64 random(seed);
    for (const TokenId next : tokens) {
      const std::vector<TokenId> wanted = allowed(plain);
      const int drafts = static_cast<int>(random() % 6);
      int taken = 0;
      for (; taken < drafts; ++taken) {
        const std::vector<TokenId> some = allowed(undone);
        if (!undone.accept(some[random() % some.size()])) break;
      }
      undone.rollback(taken);
      ASSERT_EQ(allowed(undone), wanted);
      ASSERT_TRUE(plain.accept(next));
      ASSERT_TRUE(undone.accept(next));
    }
  }
}

TEST(MaskWorkers, ManyAnswersAtOnce) {
  auto constraint = empty();
  constraint->min_tokens = 50;
  MaskWorkers workers(3, 40);
  std::vector<std::unique_ptr<MaskJob>> jobs;
  for (int i = 0; i < 40; ++i) jobs.push_back(std::make_unique<MaskJob>(constraint));
  for (int round = 0; round < 60; ++round) {
    for (auto& job : jobs) {
      if (round > 0) job->token = 40;
      workers.post(*job);
    }
    for (auto& job : jobs) {
      workers.wait(*job);
      ASSERT_TRUE(job->accepted);
      ASSERT_EQ(job->binds, round < 50);
      if (job->binds) {
        ASSERT_FALSE(mask_has(job->words, kEnd));
      }
    }
  }
}

}  // namespace
}  // namespace millrace::testing
