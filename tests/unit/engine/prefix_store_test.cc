#include "engine/prefix_store.h"

#include <gtest/gtest.h>

#include "device/cpu/cpu_device.h"

namespace millrace {
namespace {

class PrefixStoreTest : public ::testing::Test {
 protected:
  static CacheGeometry geometry() {
    CacheGeometry g;
    g.attention_layers = 1;
    g.kv_heads = 1;
    g.head_dim = 8;
    g.conv_layers = 2;
    g.conv_channels = 8;
    return g;
  }
  PrefixStore::Entry entry(std::vector<std::int32_t> tokens) {
    auto memory = SequenceMemory::open(storage_, 256);
    const auto count = static_cast<std::int64_t>(tokens.size());
    EXPECT_TRUE(memory->reserve(count));
    memory->appended(count);
    return {std::move(tokens), std::move(*memory)};
  }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
  CacheStorage storage_{*device_, geometry(), 32, 8};
  PrefixStore store_;
};

TEST_F(PrefixStoreTest, TakesTheLongestCommonBeginning) {
  store_.keep(entry({1, 2, 3, 4}));
  store_.keep(entry({1, 2, 3, 9, 9}));
  const std::vector<std::int32_t> prompt = {1, 2, 3, 9, 7};
  const auto taken = store_.take(prompt);
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->tokens, (std::vector<std::int32_t>{1, 2, 3, 9}));
  EXPECT_EQ(taken->memory.length(), 4);
  EXPECT_EQ(taken->memory.replay_count(), 4);
  EXPECT_EQ(store_.size(), 1u);
}

TEST_F(PrefixStoreTest, ANextTurnReplaysNothing) {
  store_.keep(entry({1, 2, 3, 4}));
  const std::vector<std::int32_t> prompt = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(store_.take(prompt)->memory.replay_count(), 0);
}

TEST_F(PrefixStoreTest, LeavesTheLastPromptTokenToCompute) {
  store_.keep(entry({1, 2, 3, 4}));
  const std::vector<std::int32_t> prompt = {1, 2, 3, 4};
  EXPECT_EQ(store_.take(prompt)->memory.length(), 3);
}

TEST_F(PrefixStoreTest, DoesNotSpendALongHistoryOnAShortMatch) {
  store_.keep(entry({1, 2, 3, 4, 5, 6, 7, 8}));
  const std::vector<std::int32_t> prompt = {1, 2, 9, 9};
  EXPECT_FALSE(store_.take(prompt).has_value());
  EXPECT_EQ(store_.size(), 1u);
}

TEST_F(PrefixStoreTest, DropsTheOldestFirst) {
  store_.keep(entry({1, 1, 1}));
  store_.keep(entry({2, 2, 2}));
  EXPECT_TRUE(store_.drop_oldest());
  const std::vector<std::int32_t> first = {1, 1, 1, 1};
  EXPECT_FALSE(store_.take(first).has_value());
  EXPECT_TRUE(store_.drop_oldest());
  EXPECT_FALSE(store_.drop_oldest());
  EXPECT_EQ(storage_.slots().free_count(), 8);
  EXPECT_EQ(storage_.blocks().free_count(), 32);
}

}  // namespace
}  // namespace millrace
