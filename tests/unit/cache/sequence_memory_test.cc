#include "cache/sequence_memory.h"

#include <gtest/gtest.h>

#include "device/cpu/cpu_device.h"

namespace millrace {
namespace {

class SequenceMemoryTest : public testing::Test {
 protected:
  static CacheGeometry geometry(int draft_columns) {
    CacheGeometry g;
    g.attention_layers = 2;
    g.kv_heads = 2;
    g.head_dim = 8;
    g.conv_layers = 5;
    g.conv_channels = 16;
    g.taps = 3;
    g.draft_columns = draft_columns;
    return g;
  }
  static void append(SequenceMemory& memory, std::int64_t count) {
    ASSERT_TRUE(memory.reserve(count));
    memory.appended(count);
  }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
};

TEST_F(SequenceMemoryTest, GeometryMatchesTheSpecsTable) {
  CacheGeometry g;  // LFM2-1.2B
  g.attention_layers = 6;
  g.kv_heads = 8;
  g.head_dim = 64;
  g.conv_layers = 10;
  g.conv_channels = 2048;
  EXPECT_EQ(g.kv_bytes_per_token(), 12288);
  EXPECT_EQ(g.replay_tokens(), 20);
  EXPECT_EQ(g.conv_bytes_per_sequence(), 2 * 81920);  // kept in float, twice the table's bf16
}

TEST_F(SequenceMemoryTest, BlocksFollowTheLength) {
  CacheStorage storage(*device_, geometry(0), 4, 2);
  auto memory = SequenceMemory::open(storage, 64);
  append(*memory, 17);
  EXPECT_EQ(memory->block_ids().size(), 2u);
  memory->rewind(16);
  EXPECT_EQ(memory->block_ids().size(), 1u);
  EXPECT_EQ(storage.blocks().free_count(), 3);
  EXPECT_FALSE(memory->reserve(49)) << "beyond max_tokens";
  auto other = SequenceMemory::open(storage, 64);
  append(*other, 48);
  EXPECT_FALSE(memory->reserve(1)) << "beyond the pool";
  EXPECT_FALSE(SequenceMemory::open(storage, 64).has_value()) << "no slot left";
}

TEST_F(SequenceMemoryTest, RewindAsksForAReplayUnlessTheRingReachesBack) {
  for (const int draft : {0, 1, 4}) {
    CacheStorage storage(*device_, geometry(draft), 16, 1);
    auto memory = SequenceMemory::open(storage, 256);
    append(*memory, 40);
    EXPECT_EQ(memory->replay_count(), 0);
    memory->rewind(40 - draft);
    EXPECT_EQ(memory->replay_count(), 0) << draft;
    memory->rewind(40 - draft - 1);
    EXPECT_EQ(memory->replay_count(), 10) << draft;
    EXPECT_EQ(memory->conv_from(), memory->length() - 10);
    memory->replayed();
    EXPECT_EQ(memory->replay_count(), 0);
    // Only K-1 columns are exact after a replay, so the first undo needs another one.
    memory->rewind(memory->length() - 1);
    EXPECT_EQ(memory->replay_count(), 10) << draft;
  }
}

TEST_F(SequenceMemoryTest, RewindIntoTheFirstTokensReplaysFromTheStart) {
  CacheStorage storage(*device_, geometry(2), 16, 1);
  auto memory = SequenceMemory::open(storage, 256);
  append(*memory, 40);
  memory->rewind(7);
  EXPECT_EQ(memory->replay_count(), 7);
  memory->replayed();
  memory->rewind(5);  // two columns further back are exact: the replay began at position 0
  EXPECT_EQ(memory->replay_count(), 0);
  memory->rewind(0);
  EXPECT_EQ(memory->replay_count(), 0);
  append(*memory, 10);  // and it can start over
  EXPECT_EQ(memory->replay_count(), 0);
}

TEST_F(SequenceMemoryTest, AppendingWithoutStateAborts) {
  CacheStorage storage(*device_, geometry(0), 16, 1);
  auto memory = SequenceMemory::open(storage, 256);
  append(*memory, 40);
  memory->rewind(20);
  ASSERT_TRUE(memory->reserve(1));
  EXPECT_DEATH(memory->appended(1), "without its conv state");
}

}  // namespace
}  // namespace millrace
