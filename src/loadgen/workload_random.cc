#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "loadgen/words.h"
#include "loadgen/workload.h"

namespace millrace::loadgen {

std::string random_words(Random& random, std::int64_t count) {
  static constexpr std::array kWords = {
      "the",    "of",    "and",   "to",     "in",    "is",    "that",   "for",  "it",     "was",
      "on",     "are",   "as",    "with",   "they",  "at",    "be",     "this", "from",   "have",
      "or",     "by",    "one",   "had",    "not",   "but",   "what",   "all",  "were",   "when",
      "we",     "there", "can",   "an",     "your",  "which", "their",  "said", "if",     "do",
      "will",   "each",  "about", "how",    "up",    "out",   "them",   "then", "she",    "many",
      "some",   "so",    "these", "would",  "other", "into",  "has",    "more", "her",    "two",
      "like",   "him",   "see",   "time",   "could", "no",    "make",   "than", "first",  "been",
      "its",    "who",   "now",   "people", "my",    "made",  "over",   "did",  "down",   "only",
      "way",    "find",  "use",   "may",    "water", "long",  "little", "very", "after",  "words",
      "called", "just",  "where", "most",   "know",  "river", "stone",  "fox",  "bridge", "field"};
  std::string text;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += kWords[static_cast<std::size_t>(random.between(0, std::ssize(kWords) - 1))];
  }
  return text;
}

Workload random_workload(const RandomOptions& options) {
  Random random(options.seed);
  const auto length = [&](std::int64_t mean) {
    const auto spread = static_cast<std::int64_t>(static_cast<double>(mean) * options.range);
    return std::max<std::int64_t>(1, random.between(mean - spread, mean + spread));
  };
  const auto ids = [&](std::vector<std::int32_t>& out, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      out.push_back(static_cast<std::int32_t>(random.between(0, options.vocab - 1)));
  };
  std::vector<std::int32_t> prefix;
  std::string prefix_text;
  if (options.vocab > 0)
    ids(prefix, options.prefix);
  else if (options.prefix > 0)
    prefix_text = random_words(random, options.prefix) + " ";
  Workload workload;
  for (std::int64_t i = 0; i < options.count; ++i) {
    Turn turn;
    const std::int64_t input = length(options.input);
    turn.max_tokens = length(options.output);
    if (options.vocab > 0) {
      turn.prompt = prefix;
      ids(turn.prompt, input);
    } else {
      turn.text = prefix_text + random_words(random, input);
    }
    Session session{.id = fmt::format("r{}", i)};
    session.turns.push_back(std::move(turn));
    workload.push_back(std::move(session));
  }
  return workload;
}

}  // namespace millrace::loadgen
