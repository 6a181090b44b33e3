// A tokenizer file's own regular expression, run by PCRE2 under limits.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace {

// The `tokenizers` library reads patterns with Oniguruma. Where the two engines differ, the
// pattern is rewritten (\s \d \w as Unicode has them, ^ and $ at every line, . stops at \n only)
// or refused (nested character classes, back references, options inside, ...). Character
// properties are by the edition of Unicode PCRE2 was built with, which may know fewer of the
// newest letters. Immutable and thread-safe.
class SplitRegex {
 public:
  // `field` names the pattern in messages.
  static Result<SplitRegex> compile(std::string_view pattern, std::string_view field);
  // A regular expression that matches `text` and nothing else.
  static std::string escape(std::string_view text);

  SplitRegex(SplitRegex&&) noexcept;
  SplitRegex& operator=(SplitRegex&&) noexcept;
  ~SplitRegex();

  // Calls found(begin, end) for the matches from left to right; an empty one directly after
  // another match is left out. A match that takes more steps or memory than the limits is an
  // error (TooLarge).
  Status for_each_match(std::string_view valid,
                        const std::function<void(std::size_t, std::size_t)>& found) const;

 private:
  struct Compiled;
  explicit SplitRegex(std::unique_ptr<const Compiled> compiled);

  std::unique_ptr<const Compiled> compiled_;
};

// What SplitRegex::compile gives to PCRE2: exposed for tests.
Result<std::string> translate_split_pattern(std::string_view pattern, std::string_view field);

}  // namespace millrace
