// Regular expressions, grammars and choices: refused with a reason, or usable.
#include <cstdint>
#include <string>
#include <vector>

#include "constraint/grammar_text.h"
#include "tests/fuzz/grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace;
  if (size < 1) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      compile_and_walk({.kind = GrammarSource::Kind::Regex, .text = text});
      break;
    case 1:
      compile_and_walk({.kind = GrammarSource::Kind::Grammar, .text = text});
      break;
    case 2:
      if (!text.empty())
        compile_and_walk(
            choice_source(std::vector<std::string>{text, text.substr(text.size() / 2)}));
      break;
  }
  return 0;
}
