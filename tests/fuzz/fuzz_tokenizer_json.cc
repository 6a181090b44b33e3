// A hostile tokenizer.json: it loads or is refused, and one that loads encodes and decodes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "text/detokenizer.h"

using namespace millrace;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void use(const Tokenizer& tokenizer) {
  for (const std::string_view text : {"The mill's 1234 wheels\r\n  turn,  don't THEY'RE",
                                      "aaaaaaaaaaaaaaab", "\xff水🙂 é\xc3", ""})
    for (const bool option : {false, true}) {
      const auto tokens =
          tokenizer.encode(text, {.add_special_tokens = option, .parse_special = option});
      if (!tokens) continue;  // the file's pattern gave up
      Detokenizer detokenizer(tokenizer, {.skip_special_tokens = option});
      std::string streamed;
      for (const TokenId token : *tokens) {
        require(tokenizer.id_of(tokenizer.token_text(token)) == token);
        streamed += detokenizer.push(token);
      }
      streamed += detokenizer.flush();
      require(streamed == tokenizer.decode(*tokens, {.skip_special_tokens = option}));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view file(reinterpret_cast<const char*>(data), size);
  // What follows a zero byte is the config.
  std::string_view config;
  if (const std::size_t zero = file.find('\0'); zero != std::string_view::npos) {
    config = file.substr(zero + 1);
    file = file.substr(0, zero);
  }
  const auto tokenizer = Tokenizer::from_json(file, "fuzz", config);
  if (tokenizer)
    use(*tokenizer);
  else
    require(!tokenizer.error().message.empty());
  return 0;
}
