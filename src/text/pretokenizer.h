// Text to words: the pieces inside which byte-level BPE merges.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "text/pretokenizer_regex.h"

namespace millrace {

// What becomes of a split's matches, as the `tokenizers` library defines it.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

// Immutable and thread-safe.
class Pretokenizer {
 public:
  // tokenizer.json's "pre_tokenizer": ByteLevel, or a Sequence of Split and Digits that ends in
  // ByteLevel. Anything else is refused by name.
  static Result<Pretokenizer> from_json(const Json& description);
  // The splits that GGUF files name.
  static Pretokenizer llama3();
  static Pretokenizer gpt2();
  // "lfm2" or "gpt-2" where it is one of these, however it was described; else nothing.
  std::optional<std::string_view> gguf_name() const;

  // Calls word(piece) from left to right. `valid` is valid UTF-8; a piece is never empty and lives
  // only during the call. Fails (TooLarge) where a file's own pattern runs into its limits.
  Status for_each_word(std::string_view valid,
                       const std::function<void(std::string_view)>& word) const;

 private:
  enum class Kind { Llama3, Gpt2, Regex, Digits };
  struct Step {
    Kind kind;
    SplitBehavior behavior;
    bool invert;
    std::optional<SplitRegex> regex;  // Kind::Regex

    // Every piece of the scanned patterns is a match: nothing is removed or merged.
    bool keeps_every_piece() const;
  };
  // A part of a text, and whether the pattern matched it or skipped it.
  struct Part {
    std::size_t begin, end;
    bool match;
  };

  static Result<Step> split_step(const Json& description, std::string_view field);
  static Result<std::vector<Part>> parts(const Step& step, std::string_view text);
  static void regroup(const Step& step, std::vector<Part>& parts);
  void byte_level(std::string_view piece, const std::function<void(std::string_view)>& word) const;
  Status add_step(const Json& description, std::string_view field);

  std::vector<Step> steps_;
  bool add_prefix_space_ = false;  // ByteLevel's: a space before each piece that has none
  bool gpt2_split_ = false;        // ByteLevel's use_regex
};

}  // namespace millrace
