// What has been computed, by its tokens: a tree whose paths are token sequences and whose nodes
// hold a KV block each, shared with whoever computes or reuses it. A prompt goes on from the last
// token up to which it agrees with a path, wherever that lies: whole blocks are shared, a block
// that agrees in part is copied by the sequence before it writes (SequenceMemory::reserve), and
// the conv state is replayed (spec 4.6) unless a sequence that ended just there has left it.
//
//   root -- [ 16 tokens ] -- [ 16 tokens ] -- [ 16 tokens ]
//                        \-- [ 16 tokens ] -- [ 5 tokens ] + conv state
//
// All but the last node of a path are full. Siblings are in order of their tokens, and none is the
// beginning of another: so the one that agrees longest with a text is beside where the text would
// be inserted. Tenants with different salts have trees of their own and never see each other's.
//
// A block that a sequence uses is pinned: giving it up would free nothing. The others go least
// recently used first, leaves before what they hang on.
//
// Not thread-safe: the step thread owns it. Nothing here happens once a step, but once a request.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/sequence_memory.h"

namespace millrace {

class PrefixTree {
 public:
  // `storage` must outlive the tree.
  explicit PrefixTree(CacheStorage& storage) : storage_(&storage) {}
  ~PrefixTree() { clear(); }
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  // The longest beginning of `tokens` that is there, without its conv state.
  SharedPrefix match(std::string_view salt, std::span<const std::int32_t> tokens);
  // The conv state that was kept for the end of these tokens, if there is one. It leaves the tree.
  std::optional<ConvState> take_conv_state(std::string_view salt,
                                           std::span<const std::int32_t> tokens);
  // The same to look at only; null if there is none.
  const ConvState* conv_state(std::string_view salt, std::span<const std::int32_t> tokens) const;
  // How long match() would be.
  std::int64_t match_length(std::string_view salt, std::span<const std::int32_t> tokens) const;

  // Shares the memory's full blocks, whose tokens these are; where the tree has a block with the
  // same tokens already, the memory uses that one from now on. For sequences that go on.
  void share(std::string_view salt, std::span<const std::int32_t> tokens, SequenceMemory& memory);
  // The memory of a sequence that has ended: all its blocks, and its conv state.
  void keep(std::string_view salt, std::span<const std::int32_t> tokens, SequenceMemory memory);

  // Frees one block; false if none can be.
  bool evict_block();
  // Frees the slot of the conv state that was kept the longest; false if there is none.
  bool evict_conv_state();
  // Forgets everything. Sequences keep what they use.
  void clear();

  std::int64_t blocks() const { return blocks_; }
  std::int64_t conv_states() const { return std::ssize(states_); }
  // Blocks that evict_block() can free.
  std::int64_t evictable() const;

  // Aborts if what the comments say is not so; for tests.
  void check_invariants() const;

 private:
  struct Node {
    Node* parent = nullptr;
    std::vector<std::int32_t> tokens;
    IdRef block;
    std::vector<std::unique_ptr<Node>> children;  // in order of tokens
    std::optional<ConvState> conv;                // ends within the block
    std::list<Node*>::iterator used;              // place in recency_
    std::list<Node*>::iterator state;             // place in states_, with a conv state
  };
  struct Found {
    Node* node = nullptr;    // agrees longest among its siblings
    std::size_t common = 0;  // tokens
    std::size_t place = 0;   // where the text would be inserted
  };

  static Found find_child(const Node& parent, std::span<const std::int32_t> tokens);
  // Calls visit(node, tokens in common) down the path that agrees longest with the tokens.
  template <typename Visit>
  void walk(std::string_view salt, std::span<const std::int32_t> tokens, Visit visit) const;
  Node* root_of(std::string_view salt) const;
  // The node that holds the conv state for the end of these tokens; null if none does.
  Node* state_node(std::string_view salt, std::span<const std::int32_t> tokens) const;
  void insert(std::string_view salt, std::span<const std::int32_t> tokens, SequenceMemory& memory,
              std::int64_t blocks, std::optional<ConvState> conv);
  void set_state(Node& node, std::optional<ConvState> conv);
  // The node is the most recently used one, and what it hangs on even more so.
  void touch(Node& node);
  void remove(Node& node);
  void check_node(const Node& node) const;

  CacheStorage* storage_;
  std::map<std::string, std::unique_ptr<Node>, std::less<>> roots_;  // by salt; hold no block
  std::list<Node*> recency_;  // least recently used first; children before their parents
  std::list<Node*> states_;   // nodes with a conv state, kept the longest first
  std::int64_t blocks_ = 0;
};

}  // namespace millrace
