#include "tools/serve_sim/reuse.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

namespace millrace::sim {
namespace {

// All texts, a node a token of difference; each position may have a state.
struct Node {
  std::vector<TokenId> tokens;
  std::set<std::int64_t> states;  // lengths from the root, within this node
  std::map<TokenId, std::unique_ptr<Node>> children;
};

class Texts {
 public:
  struct Match {
    std::int64_t length = 0;  // tokens that agree
    std::int64_t state = 0;   // the last length with a state in them
  };

  Match match(const std::vector<TokenId>& text) const {
    Match found;
    const Node* node = &root_;
    while (true) {
      const auto at = static_cast<std::size_t>(found.length);
      if (at == text.size()) return found;
      const auto child = node->children.find(text[at]);
      if (child == node->children.end()) return found;
      node = child->second.get();
      std::size_t common = 0;
      while (common < node->tokens.size() && at + common < text.size() &&
             node->tokens[common] == text[at + common])
        ++common;
      found.length += static_cast<std::int64_t>(common);
      const auto after = node->states.upper_bound(found.length);
      if (after != node->states.begin()) found.state = *std::prev(after);
      if (common < node->tokens.size()) return found;
    }
  }

  void add(const std::vector<TokenId>& text, const std::vector<std::int64_t>& states) {
    Node* node = &root_;
    std::size_t at = 0;
    std::vector<std::pair<std::int64_t, Node*>> path;  // where each node ends
    while (at < text.size()) {
      std::unique_ptr<Node>& child = node->children[text[at]];
      if (!child) {
        child = std::make_unique<Node>();
        child->tokens.assign(text.begin() + static_cast<std::ptrdiff_t>(at), text.end());
      }
      std::size_t common = 0;
      while (common < child->tokens.size() && at + common < text.size() &&
             child->tokens[common] == text[at + common])
        ++common;
      if (common < child->tokens.size()) split(child, common, static_cast<std::int64_t>(at));
      node = child.get();
      at += common;
      path.emplace_back(static_cast<std::int64_t>(at), node);
    }
    for (const std::int64_t length : states) {
      const auto holder = std::find_if(path.begin(), path.end(),
                                       [&](const auto& each) { return each.first >= length; });
      if (length > 0 && holder != path.end()) holder->second->states.insert(length);
    }
  }

 private:
  static void split(std::unique_ptr<Node>& node, std::size_t common, std::int64_t at) {
    auto upper = std::make_unique<Node>();
    const auto cut = node->tokens.begin() + static_cast<std::ptrdiff_t>(common);
    upper->tokens.assign(node->tokens.begin(), cut);
    node->tokens.erase(node->tokens.begin(), cut);
    const auto last = node->states.upper_bound(at + static_cast<std::int64_t>(common));
    upper->states.insert(node->states.begin(), last);
    node->states.erase(node->states.begin(), last);
    const TokenId first = node->tokens.front();
    upper->children.emplace(first, std::move(node));
    node = std::move(upper);
  }

  Node root_;
};

}  // namespace

Reuse reuse_of(const Trace& trace, const ReuseRule& rule) {
  Texts texts;
  Reuse reuse;
  for (const TracedRequest& request : trace) {
    // Somebody must compute the last token.
    const std::vector<TokenId> usable(request.prompt.begin(), request.prompt.end() - 1);
    const Texts::Match match = texts.match(usable);
    const bool replays = rule.replay >= 0 && match.state != match.length;
    const std::int64_t hit = rule.replay >= 0 ? match.length : match.state;
    const auto length = std::ssize(request.prompt);
    reuse.prompt += length;
    reuse.hit += hit;
    reuse.computed += length - hit;
    if (replays) reuse.replayed += std::min(hit, rule.replay);

    std::vector<TokenId> text = request.prompt;
    text.insert(text.end(), request.answer.begin(), request.answer.end() - 1);
    std::vector<std::int64_t> states;
    for (std::int64_t at = rule.grid; rule.grid > 0 && at <= std::ssize(text); at += rule.grid)
      states.push_back(at);
    // A prompt's steps begin where the cache's part ends.
    for (std::int64_t at = hit; rule.step > 0 && at < length;) {
      at = std::min(length, at + rule.step);
      states.push_back(at / rule.block * rule.block);
    }
    if (rule.prompt_ends) states.push_back(length / rule.block * rule.block);
    if (rule.answer_ends) states.push_back(std::ssize(text) / rule.block * rule.block);
    texts.add(text, states);
  }
  return reuse;
}

}  // namespace millrace::sim
