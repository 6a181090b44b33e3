#include "cache/prefix_tree.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace millrace {
namespace {

std::size_t common_length(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                                  a.begin());
}

}  // namespace

PrefixTree::Found PrefixTree::find_child(const Node& parent, std::span<const std::int32_t> tokens) {
  const auto at = std::lower_bound(
      parent.children.begin(), parent.children.end(), tokens,
      [](const std::unique_ptr<Node>& child, std::span<const std::int32_t> wanted) {
        return std::lexicographical_compare(child->tokens.begin(), child->tokens.end(),
                                            wanted.begin(), wanted.end());
      });
  Found found;
  found.place = static_cast<std::size_t>(at - parent.children.begin());
  const auto look = [&](const std::unique_ptr<Node>& child) {
    const std::size_t common = common_length(child->tokens, tokens);
    if (common <= found.common) return;
    found.node = child.get();
    found.common = common;
  };
  if (at != parent.children.end()) look(*at);
  if (at != parent.children.begin()) look(*(at - 1));
  return found;
}

PrefixTree::Node* PrefixTree::root_of(std::string_view salt) const {
  const auto root = roots_.find(salt);
  return root == roots_.end() ? nullptr : root->second.get();
}

template <typename Visit>
void PrefixTree::walk(std::string_view salt, std::span<const std::int32_t> tokens,
                      Visit visit) const {
  const auto size = static_cast<std::size_t>(storage_->geometry().block_tokens);
  const Node* parent = root_of(salt);
  while (parent && !tokens.empty()) {
    const Found found = find_child(*parent, tokens.first(std::min(size, tokens.size())));
    if (!found.node) return;
    visit(*found.node, found.common);
    if (found.common < size) return;
    tokens = tokens.subspan(size);
    parent = found.node;
  }
}

SharedPrefix PrefixTree::match(std::string_view salt, std::span<const std::int32_t> tokens) {
  SharedPrefix prefix;
  Node* last = nullptr;
  walk(salt, tokens, [&](Node& node, std::size_t common) {
    last = &node;
    prefix.blocks.push_back(node.block.share());
    prefix.length += static_cast<std::int64_t>(common);
  });
  if (last) touch(*last);
  return prefix;
}

std::int64_t PrefixTree::match_length(std::string_view salt,
                                      std::span<const std::int32_t> tokens) const {
  std::int64_t length = 0;
  walk(salt, tokens,
       [&](const Node&, std::size_t common) { length += static_cast<std::int64_t>(common); });
  return length;
}

PrefixTree::Node* PrefixTree::state_node(std::string_view salt,
                                         std::span<const std::int32_t> tokens) const {
  Node* last = nullptr;
  std::int64_t length = 0;
  walk(salt, tokens, [&](Node& node, std::size_t common) {
    last = &node;
    length += static_cast<std::int64_t>(common);
  });
  if (!last || length != std::ssize(tokens)) return nullptr;
  const auto serves = [&](const Node& node) {
    return node.conv && node.conv->serves(length, storage_->geometry().taps);
  };
  if (serves(*last)) return last;
  // A ring that reaches back from the block behind, whatever that block's tokens are.
  for (Node* node : states_)
    if (node->parent == last && serves(*node)) return node;
  return nullptr;
}

std::optional<ConvState> PrefixTree::take_conv_state(std::string_view salt,
                                                     std::span<const std::int32_t> tokens) {
  Node* node = state_node(salt, tokens);
  if (!node) return std::nullopt;
  states_.erase(node->state);
  return std::exchange(node->conv, std::nullopt);
}

const ConvState* PrefixTree::conv_state(std::string_view salt,
                                        std::span<const std::int32_t> tokens) const {
  const Node* node = state_node(salt, tokens);
  return node ? &*node->conv : nullptr;
}

void PrefixTree::share(std::string_view salt, std::span<const std::int32_t> tokens,
                       SequenceMemory& memory) {
  if (memory.copy_pending()) return;  // nothing has been computed yet
  insert(salt, tokens, memory, std::ssize(tokens) / storage_->geometry().block_tokens,
         std::nullopt);
}

void PrefixTree::keep(std::string_view salt, std::span<const std::int32_t> tokens,
                      SequenceMemory memory) {
  check(std::ssize(tokens) == memory.length(),
        "a kept memory must know the token of each of its positions");
  const std::int64_t size = storage_->geometry().block_tokens;
  // A block that was to be copied and was not holds nothing; its original is in the tree.
  if (memory.copy_pending()) {
    memory.rewind(memory.length() / size * size);
    tokens = tokens.first(static_cast<std::size_t>(memory.length()));
  }
  insert(salt, tokens, memory, (memory.length() + size - 1) / size, memory.take_conv_state());
}

void PrefixTree::insert(std::string_view salt, std::span<const std::int32_t> tokens,
                        SequenceMemory& memory, std::int64_t blocks,
                        std::optional<ConvState> conv) {
  if (blocks <= 0) return;
  auto root = roots_.find(salt);
  if (root == roots_.end())
    root = roots_.emplace(std::string(salt), std::make_unique<Node>()).first;
  const auto size = static_cast<std::size_t>(storage_->geometry().block_tokens);
  Node* parent = root->second.get();
  Node* last = nullptr;
  for (std::int64_t index = 0; index < blocks; ++index) {
    const auto at = static_cast<std::size_t>(index) * size;
    const std::span<const std::int32_t> part =
        tokens.subspan(at, std::min(size, tokens.size() - at));
    const Found found = find_child(*parent, part);
    if (found.node && found.common == part.size()) {
      last = found.node;  // is there, and perhaps more
      if (part.size() == size) memory.adopt_block(index, last->block.share());
    } else if (found.node && found.common == found.node->tokens.size()) {
      last = found.node;  // is the beginning of this one
      last->tokens.assign(part.begin(), part.end());
      last->block = memory.share_block(index);
    } else {
      auto node = std::make_unique<Node>();
      last = node.get();
      last->parent = parent;
      last->tokens.assign(part.begin(), part.end());
      last->block = memory.share_block(index);
      last->used = recency_.insert(recency_.end(), last);
      parent->children.insert(parent->children.begin() + static_cast<std::ptrdiff_t>(found.place),
                              std::move(node));
      ++blocks_;
    }
    parent = last;
  }
  touch(*last);
  if (conv) set_state(*last, std::move(conv));
}

void PrefixTree::set_state(Node& node, std::optional<ConvState> conv) {
  if (node.conv) states_.erase(node.state);
  node.conv = std::move(conv);
  if (node.conv) node.state = states_.insert(states_.end(), &node);
}

void PrefixTree::touch(Node& node) {
  for (Node* each = &node; each->parent; each = each->parent)
    recency_.splice(recency_.end(), recency_, each->used);
}

void PrefixTree::remove(Node& node) {
  set_state(node, std::nullopt);
  recency_.erase(node.used);
  --blocks_;
  std::vector<std::unique_ptr<Node>>& siblings = node.parent->children;
  siblings.erase(std::find_if(siblings.begin(), siblings.end(),
                              [&](const auto& each) { return each.get() == &node; }));
}

std::int64_t PrefixTree::evictable() const {
  // Whatever is shared is shared by the tree, but for blocks that outlived a clear().
  return std::max<std::int64_t>(0, blocks_ - storage_->blocks().shared_count());
}

bool PrefixTree::evict_block() {
  // Children come before their parents, so that the first is always a leaf. Those in use go to the
  // end, where they belong; each is met at most once.
  for (std::int64_t tries = blocks_; tries > 0; --tries) {
    Node& oldest = *recency_.front();
    if (oldest.block.is_shared()) {
      touch(oldest);
      continue;
    }
    Node* parent = oldest.parent;
    remove(oldest);
    // A salt that has nothing left is forgotten.
    if (!parent->parent && parent->children.empty())
      std::erase_if(roots_, [&](const auto& root) { return root.second.get() == parent; });
    return true;
  }
  return false;
}

bool PrefixTree::evict_conv_state() {
  if (states_.empty()) return false;
  set_state(*states_.front(), std::nullopt);
  return true;
}

void PrefixTree::clear() {
  // Leaves first: the depth of a tree is not the stack's.
  while (!recency_.empty()) remove(*recency_.front());
  roots_.clear();
}

void PrefixTree::check_node(const Node& node) const {
  const auto size = static_cast<std::size_t>(storage_->geometry().block_tokens);
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Node& child = *node.children[i];
    check(child.parent == &node, "a child knows its parent");
    check(!child.tokens.empty() && child.tokens.size() <= size,
          "a node has up to a block's tokens");
    check(child.tokens.size() == size || child.children.empty(), "only full nodes have children");
    check(child.block.id() >= 0, "a node has a block");
    check(!child.block.is_shared() || !node.parent || node.block.is_shared(),
          "what a block in use hangs on is in use");
    if (i > 0) {
      const Node& before = *node.children[i - 1];
      check(before.tokens < child.tokens, "siblings are in order");
      check(common_length(before.tokens, child.tokens) < before.tokens.size(),
            "no sibling is the beginning of another");
    }
    check_node(child);
  }
}

void PrefixTree::check_invariants() const {
  for (const auto& [salt, root] : roots_) check_node(*root);
  check(std::ssize(recency_) == blocks_, "every node has its place");
  for (auto it = recency_.begin(); it != recency_.end(); ++it)
    check((*it)->used == it, "every node knows its place");
  for (const Node* node : states_) check(node->conv.has_value(), "a kept state is there");
}

}  // namespace millrace
