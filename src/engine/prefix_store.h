// Memories of finished requests, kept so that a next turn, an edited or a retried prompt goes on
// from where its tokens agree with an earlier one: at any token, the conv state being rebuilt by
// replay (design.md 4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/sequence_memory.h"

namespace millrace {

class PrefixStore {
 public:
  struct Entry {
    std::vector<std::int32_t> tokens;  // of positions [0, memory.length())
    SequenceMemory memory;
  };

  // The kept memory that shares the longest beginning with `prompt`, taken out of the store and
  // rewound to it. The last prompt token is never taken from the store: somebody must compute its
  // logits. Nothing is taken when less than half of a memory would be of use, since the other
  // half is somebody's history.
  std::optional<Entry> take(std::span<const std::int32_t> prompt);

  void keep(Entry entry);

  // Gives up the memory that was kept the longest; false if there is none.
  bool drop_oldest();

  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;  // oldest first
};

}  // namespace millrace
