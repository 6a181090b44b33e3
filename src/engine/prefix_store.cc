#include "engine/prefix_store.h"

#include <algorithm>

#include "base/check.h"

namespace millrace {

std::optional<PrefixStore::Entry> PrefixStore::take(std::span<const std::int32_t> prompt) {
  if (prompt.empty()) return std::nullopt;
  const std::span<const std::int32_t> usable = prompt.first(prompt.size() - 1);
  std::size_t longest = 0;
  auto best = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    const auto common = static_cast<std::size_t>(
        std::mismatch(usable.begin(), usable.end(), entry->tokens.begin(), entry->tokens.end())
            .first -
        usable.begin());
    if (common > longest && common * 2 >= entry->tokens.size()) {
      longest = common;
      best = entry;
    }
  }
  if (best == entries_.end()) return std::nullopt;
  Entry entry = std::move(*best);
  entries_.erase(best);
  entry.tokens.resize(longest);
  entry.memory.rewind(static_cast<std::int64_t>(longest));
  return entry;
}

void PrefixStore::keep(Entry entry) {
  check(static_cast<std::int64_t>(entry.tokens.size()) == entry.memory.length(),
        "a kept memory must know the token of each of its positions");
  if (entry.tokens.empty()) return;
  entries_.push_back(std::move(entry));
}

bool PrefixStore::drop_oldest() {
  if (entries_.empty()) return false;
  entries_.erase(entries_.begin());
  return true;
}

}  // namespace millrace
