#include "constraint/grammar_text.h"

#include <algorithm>
#include <charconv>

#include "base/json.h"
#include "constraint/schema_check.h"

namespace millrace {
namespace {

constexpr std::size_t kMostSchemaBytes = 256u << 10;
constexpr std::size_t kMostGrammarBytes = 64u << 10;
constexpr std::size_t kMostRegexBytes = 4096;
constexpr int kMostNesting = 64;
// Repetitions are written out as states: {1000} inside {1000} would be a million of them.
constexpr std::int64_t kMostRepeats = 4096;

// The number that begins at `at`, behind spaces; -1: none.
std::int64_t number_at(std::string_view text, std::size_t at) {
  std::int64_t value = -1;
  while (at < text.size() && text[at] == ' ') ++at;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return INT64_MAX;
  return error == std::errc() && end != text.data() + at ? value : -1;
}

struct Skip {
  bool quotes;  // "..." is a literal
  char comment;
};

// Walks brackets and counted repetitions, of regular expressions and grammars alike: how deeply
// groups nest, and how often the innermost is repeated by counts around it.
Status check_nesting(std::string_view text, std::string_view what, const Skip& skip) {
  // What counts inside a group multiply to, by open group; the outermost last.
  std::vector<std::int64_t> groups = {1};
  std::int64_t last = 1;   // weight of the element that a count would repeat
  std::int64_t total = 0;  // of all repetitions
  const auto weigh = [&](std::int64_t weight) {
    last = weight;
    groups.back() = std::max(groups.back(), weight);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
      weigh(1);
    } else if (skip.comment != 0 && c == skip.comment) {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '[' || (c == '"' && skip.quotes)) {
      const char end = c == '[' ? ']' : '"';
      for (++i; i < text.size() && text[i] != end; ++i)
        if (text[i] == '\\') ++i;
      weigh(1);
    } else if (c == '(') {
      if (std::ssize(groups) > kMostNesting)
        return fail(ErrorCode::TooLarge, "{}: groups nest deeper than {}", what, kMostNesting);
      groups.push_back(1);
    } else if (c == ')' && groups.size() > 1) {
      const std::int64_t inner = groups.back();
      groups.pop_back();
      weigh(inner);
    } else if (c == '{') {
      const std::int64_t low = number_at(text, i + 1);
      if (low < 0) continue;
      const std::size_t close = text.find('}', i);
      const std::size_t comma = text.find(',', i);
      const std::int64_t high = std::max(low, comma < close ? number_at(text, comma + 1) : low);
      if (high > kMostRepeats || last * std::max<std::int64_t>(high, 1) > kMostRepeats)
        return fail(ErrorCode::TooLarge, "{}: counts repeat a part more than {} times", what,
                    kMostRepeats);
      total += last * high;
      if (total > 4 * kMostRepeats)
        return fail(ErrorCode::TooLarge, "{}: counts repeat parts more than {} times in all", what,
                    4 * kMostRepeats);
      weigh(last * std::max<std::int64_t>(high, 1));
      if (close != std::string_view::npos) i = close;
    } else {
      weigh(1);
    }
  }
  return {};
}

Status check_size(std::string_view text, std::string_view what, std::size_t most) {
  if (text.size() <= most) return {};
  return fail(ErrorCode::TooLarge, "{} of {} bytes: the limit is {}", what, text.size(), most);
}

}  // namespace

Status check_regex(std::string_view pattern) {
  MILLRACE_TRY(check_size(pattern, "a regular expression", kMostRegexBytes));
  return check_nesting(pattern, "regular expression", {.quotes = false, .comment = 0});
}

std::string grammar_literal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\u{:04x}", byte);
    else
      out += c;
  }
  return out += '"';
}

GrammarSource choice_source(std::span<const std::string> choices) {
  std::string text = "root ::= ";
  for (const std::string& choice : choices) {
    if (&choice != choices.data()) text += " | ";
    text += grammar_literal(choice);
  }
  return {.kind = GrammarSource::Kind::Grammar, .text = std::move(text)};
}

Result<std::string> checked_text(const GrammarSource& source) {
  switch (source.kind) {
    case GrammarSource::Kind::JsonSchema: {
      MILLRACE_TRY(check_size(source.text, "a schema", kMostSchemaBytes));
      const Json schema = MILLRACE_TRY(parse_json(source.text, "schema", 2 * kMostSchemaDepth));
      return MILLRACE_TRY(checked_schema(schema)).dump();
    }
    case GrammarSource::Kind::Regex:
      MILLRACE_TRY(check_regex(source.text));
      break;
    case GrammarSource::Kind::Grammar:
      MILLRACE_TRY(check_size(source.text, "a grammar", kMostGrammarBytes));
      MILLRACE_TRY(check_nesting(source.text, "grammar", {.quotes = true, .comment = '#'}));
      break;
  }
  return source.text;
}

}  // namespace millrace
