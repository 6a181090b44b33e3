#include "cache/prefix_tree.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "device/cpu/cpu_device.h"

namespace millrace {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens counted(std::int32_t first, std::int32_t count) {
  Tokens tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class PrefixTreeTest : public ::testing::Test {
 protected:
  static CacheGeometry geometry() {
    CacheGeometry g;
    g.attention_layers = 1;
    g.kv_heads = 1;
    g.head_dim = 8;
    g.conv_layers = 2;
    g.conv_channels = 8;
    g.draft_columns = 2;
    return g;
  }
  // A sequence that computes all of these tokens, from what the tree has.
  SequenceMemory computed(const Tokens& tokens, std::string_view salt = "") {
    auto memory = SequenceMemory::open(storage_, 512, take(tokens, salt));
    EXPECT_TRUE(memory.has_value());
    const std::int64_t count = std::ssize(tokens) - memory->length();
    EXPECT_TRUE(memory->reserve(count));
    (void)memory->take_copy();
    if (memory->replay_count() > 0) memory->replayed();
    if (count > 0) memory->appended(count);
    return std::move(*memory);
  }
  SharedPrefix take(const Tokens& tokens, std::string_view salt = "") {
    SharedPrefix prefix = tree_.match(salt, tokens);
    prefix.conv = tree_.take_conv_state(
        salt, std::span(tokens).first(static_cast<std::size_t>(prefix.length)));
    return prefix;
  }
  void keep(const Tokens& tokens, std::string_view salt = "") {
    tree_.keep(salt, tokens, computed(tokens, salt));
    tree_.check_invariants();
  }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
  CacheStorage storage_{*device_, geometry(), 64, 8};
  PrefixTree tree_{storage_};
};

TEST_F(PrefixTreeTest, HitsAtEveryToken) {
  const Tokens text = counted(0, 53);
  keep(text);
  for (std::int32_t cut = 0; cut <= 53; ++cut) {
    const Tokens other = counted(0, cut) + Tokens{999, 998};
    const SharedPrefix prefix = take(other);
    EXPECT_EQ(prefix.length, cut);
    EXPECT_EQ(prefix.blocks.size(), static_cast<std::size_t>((cut + 15) / 16));
  }
}

TEST_F(PrefixTreeTest, BranchesShareTheirBeginning) {
  const Tokens system = counted(0, 40);
  keep(system + counted(100, 30));
  EXPECT_EQ(tree_.blocks(), 5);  // 70 tokens
  keep(system + counted(200, 30));
  EXPECT_EQ(tree_.blocks(), 5 + 3) << "two blocks are shared, the third is a copy";
  EXPECT_EQ(tree_.match_length("", system + counted(100, 99)), 70);
  EXPECT_EQ(tree_.match_length("", system + counted(200, 99)), 70);
  EXPECT_EQ(tree_.match_length("", system + counted(300, 99)), 40);
}

TEST_F(PrefixTreeTest, ANextTurnGrowsTheLastBlock) {
  keep(counted(0, 20));
  EXPECT_EQ(tree_.blocks(), 2);
  keep(counted(0, 28));
  EXPECT_EQ(tree_.blocks(), 2) << "20 tokens are the beginning of 28";
  keep(counted(0, 24));
  EXPECT_EQ(tree_.blocks(), 2);
  EXPECT_EQ(tree_.match_length("", counted(0, 40)), 28);
}

TEST_F(PrefixTreeTest, AFinishedTurnLeavesItsConvState) {
  keep(counted(0, 20));
  EXPECT_EQ(tree_.conv_states(), 1);
  {
    SharedPrefix prefix = take(counted(0, 30));
    ASSERT_TRUE(prefix.conv.has_value());
    const auto memory = SequenceMemory::open(storage_, 512, std::move(prefix));
    EXPECT_EQ(memory->replay_count(), 0);
    EXPECT_EQ(memory->length(), 20);
  }
  EXPECT_EQ(tree_.conv_states(), 0) << "there is one state: whoever takes it has it";
  EXPECT_FALSE(take(counted(0, 30)).conv.has_value());
  // The ring of K-1+2 columns reaches two tokens back, and no further.
  keep(counted(400, 20));
  EXPECT_FALSE(take(counted(400, 17) + Tokens{7}).conv.has_value());
  EXPECT_TRUE(take(counted(400, 18) + Tokens{7}).conv.has_value());
}

TEST_F(PrefixTreeTest, TenantsDoNotSeeEachOther) {
  keep(counted(0, 40), "a");
  EXPECT_EQ(tree_.match_length("b", counted(0, 40)), 0);
  EXPECT_EQ(tree_.match_length("", counted(0, 40)), 0);
  keep(counted(0, 40), "b");
  EXPECT_EQ(tree_.blocks(), 6);
  EXPECT_EQ(tree_.match_length("a", counted(0, 40)), 40);
}

TEST_F(PrefixTreeTest, SequencesWithOnePromptEndUpWithOneMemory) {
  const Tokens prompt = counted(0, 48);
  SequenceMemory a = computed(prompt);
  SequenceMemory b = computed(prompt);
  EXPECT_EQ(storage_.blocks().free_count(), 64 - 6);
  tree_.share("", prompt, a);
  tree_.share("", prompt, b);
  EXPECT_EQ(storage_.blocks().free_count(), 64 - 3);
  EXPECT_TRUE(std::equal(a.block_ids().begin(), a.block_ids().end(), b.block_ids().begin()));
  EXPECT_EQ(tree_.evictable(), 0) << "all in use";
  EXPECT_FALSE(tree_.evict_block());
}

TEST_F(PrefixTreeTest, WritingIntoASharedBlockCopiesItFirst) {
  keep(counted(0, 20));
  auto memory = SequenceMemory::open(storage_, 512, take(counted(0, 18) + Tokens{5}));
  const std::int32_t shared = memory->block_ids()[1];
  EXPECT_EQ(memory->blocks_to_reserve(1), 1);
  ASSERT_TRUE(memory->reserve(1));
  const auto copy = memory->take_copy();
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->from.id(), shared);
  EXPECT_EQ(copy->to, memory->block_ids()[1]);
  EXPECT_NE(copy->to, shared);
  EXPECT_FALSE(memory->take_copy().has_value());
}

TEST_F(PrefixTreeTest, ACopyThatNeverRanIsNotKept) {
  keep(counted(0, 20));
  const Tokens prompt = counted(0, 20) + counted(50, 4);
  auto memory = SequenceMemory::open(storage_, 512, take(prompt));
  ASSERT_TRUE(memory->reserve(4));
  tree_.keep("", counted(0, 20), std::move(*memory));
  tree_.check_invariants();
  EXPECT_EQ(tree_.match_length("", prompt), 20);
  EXPECT_EQ(tree_.blocks(), 2);
}

TEST_F(PrefixTreeTest, TheLeastRecentlyUsedLeavesGoFirst) {
  keep(counted(0, 32) + counted(100, 16));
  keep(counted(0, 32) + counted(200, 16));
  keep(counted(500, 16));
  (void)take(counted(0, 32) + counted(100, 16));
  ASSERT_TRUE(tree_.evict_block());
  EXPECT_EQ(tree_.match_length("", counted(0, 32) + counted(200, 16)), 32);
  ASSERT_TRUE(tree_.evict_block());
  EXPECT_EQ(tree_.match_length("", counted(500, 16)), 0);
  ASSERT_TRUE(tree_.evict_block());
  EXPECT_EQ(tree_.match_length("", counted(0, 32) + counted(100, 16)), 32);
  tree_.check_invariants();
  EXPECT_TRUE(tree_.evict_block());
  EXPECT_TRUE(tree_.evict_block());
  EXPECT_FALSE(tree_.evict_block());
  EXPECT_EQ(storage_.blocks().free_count(), 64);
  EXPECT_EQ(storage_.slots().free_count(), 8);
}

TEST_F(PrefixTreeTest, WhatRunsIsPinned) {
  keep(counted(0, 64));
  const SequenceMemory running = computed(counted(0, 48) + counted(300, 3));
  EXPECT_EQ(tree_.evictable(), 1);
  EXPECT_TRUE(tree_.evict_block());
  EXPECT_FALSE(tree_.evict_block());
  EXPECT_EQ(tree_.match_length("", counted(0, 64)), 48);
  tree_.clear();
  EXPECT_EQ(tree_.match_length("", counted(0, 64)), 0);
  EXPECT_EQ(storage_.blocks().free_count(), 64 - 4) << "the sequence has its blocks still";
}

// Whatever happens in whatever order: matches are what a list of all texts says while nothing has
// been evicted, invariants hold, and everything comes back in the end.
TEST_F(PrefixTreeTest, RandomWorkloads) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](int low, int high) {
      return std::uniform_int_distribution<int>(low, high)(random);
    };
    std::vector<Tokens> texts = {{}};
    std::vector<std::pair<Tokens, SequenceMemory>> running;
    bool evicted = false;
    for (int round = 0; round < 120; ++round) {
      // From a beginning of an earlier text, then a few tokens of a small alphabet.
      Tokens text = texts[static_cast<std::size_t>(draw(0, static_cast<int>(texts.size()) - 1))];
      text.resize(static_cast<std::size_t>(draw(0, static_cast<int>(text.size()))));
      for (int i = draw(1, 40); i > 0 && text.size() < 120; --i) text.push_back(draw(0, 2));
      const std::int64_t found = tree_.match_length("", text);
      std::size_t longest = 0;
      for (const Tokens& other : texts)
        longest = std::max(
            longest, static_cast<std::size_t>(
                         std::mismatch(text.begin(), text.end(), other.begin(), other.end()).first -
                         text.begin()));
      if (!evicted) {
        EXPECT_EQ(found, static_cast<std::int64_t>(longest));
      }
      EXPECT_LE(found, static_cast<std::int64_t>(longest));
      while (storage_.blocks().free_count() < 10 || storage_.slots().free_count() == 0) {
        if (storage_.slots().free_count() == 0 && tree_.evict_conv_state()) continue;
        if (storage_.blocks().free_count() < 10 && tree_.evict_block()) {
          evicted = true;
          continue;
        }
        ASSERT_FALSE(running.empty());
        running.erase(running.begin());
        evicted = true;
      }
      SequenceMemory memory = computed(text);
      if (draw(0, 2) == 0) {
        tree_.share("", text, memory);
        running.emplace_back(text, std::move(memory));
        // Only its full blocks are there.
        texts.push_back(text);
        texts.back().resize(text.size() / 16 * 16);
      } else {
        tree_.keep("", text, std::move(memory));
        texts.push_back(text);
      }
      if (!running.empty() && draw(0, 3) == 0) {
        auto [tokens, ended] = std::move(running.back());
        running.pop_back();
        tree_.keep("", tokens, std::move(ended));
        texts.push_back(tokens);
      }
      tree_.check_invariants();
    }
    running.clear();
    tree_.clear();
    ASSERT_EQ(storage_.blocks().free_count(), 64);
    ASSERT_EQ(storage_.slots().free_count(), 8);
  }
}

}  // namespace
}  // namespace millrace
