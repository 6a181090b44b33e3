// Any text: the tokens of valid UTF-8 decode to the text, the hand-written split gives the pieces
// of the pattern, and a stream of the tokens is the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "text/detokenizer.h"
#include "text/pretokenizer_regex.h"
#include "text/pretokenizer_scan.h"
#include "text/tokenizer_utf8.h"

using namespace millrace;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

const Tokenizer& tokenizer() {
  static const Tokenizer loaded = [] {
    auto t = Tokenizer::from_json_file(MILLRACE_SOURCE_DIR "/tests/data/text/tokenizer.json");
    require(t.has_value());
    return *t;
  }();
  return loaded;
}

struct Split {
  SplitRegex regex;
  std::size_t (*piece_end)(std::string_view, std::size_t);

  Split(std::string_view pattern, std::size_t (*end)(std::string_view, std::size_t))
      : regex(SplitRegex::compile(pattern, "p").value()), piece_end(end) {}

  // PCRE2 may know an older Unicode, so only up to U+17F; every branch is met there.
  void compare(std::string_view text) const {
    std::size_t at = 0;
    const Status status = regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
      require(begin == at && piece_end(text, begin) == end);
      at = end;
    });
    require(status.has_value() && at == text.size());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Split llama3(kLlama3Pattern, llama3_piece_end);
  static const Split gpt2(kGpt2Pattern, gpt2_piece_end);
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::string valid;
  utf8::append_lossy(bytes, valid);
  require(utf8::valid_prefix(valid) == valid.size());
  require((valid == bytes) == (utf8::valid_prefix(bytes) == bytes.size()));

  for (const bool parse : {false, true}) {
    const auto tokens =
        tokenizer().encode(bytes, {.add_special_tokens = false, .parse_special = parse});
    require(tokens.has_value());
    require(tokenizer().decode(*tokens, {.skip_special_tokens = false}) == valid);
    Detokenizer detokenizer(tokenizer(), {.skip_special_tokens = false});
    std::string streamed;
    for (const TokenId token : *tokens) streamed += detokenizer.push(token);
    require(streamed + detokenizer.flush() == valid);
  }

  std::string low;
  for (std::size_t at = 0, length; at < valid.size(); at += length)
    utf8::append_code_point(utf8::code_point_at(valid, at, length) % 0x180, low);
  llama3.compare(low);
  gpt2.compare(low);
  return 0;
}
