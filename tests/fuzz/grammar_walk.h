// Compiles what a client might send and writes a few tokens under its masks.
#pragma once

#include <cstdlib>

#include "constraint/constraint.h"

namespace millrace {

inline const GrammarCompiler& fuzz_compiler() {
  static const GrammarCompiler kCompiler(
      [] {
        auto tokenizer = Tokenizer::from_folder(MILLRACE_SOURCE_DIR "/models/nano");
        if (!tokenizer) std::abort();
        return std::move(*tokenizer);
      }(),
      1024, {7});
  return kCompiler;
}

inline void compile_and_walk(const GrammarSource& source) {
  const auto grammar = fuzz_compiler().compile(source);
  if (!grammar) {
    if (grammar.error().message.empty()) std::abort();
    return;
  }
  const auto matcher = (*grammar)->matcher();
  std::vector<std::uint32_t> mask(static_cast<std::size_t>(mask_words(1024)));
  int accepted = 0;
  for (std::size_t step = 0; step < 8; ++step) {
    matcher->fill(mask);
    TokenId token = -1;
    const auto start = static_cast<TokenId>((source.text.size() * 31 + step * 377) % 1024);
    for (TokenId i = 0; i < 1024 && token < 0; ++i)
      if (mask_has(mask, (start + i) % 1024)) token = (start + i) % 1024;
    if (token < 0) break;
    if (!matcher->accept(token)) std::abort();  // a mask must keep its word
    ++accepted;
  }
  matcher->rollback(accepted);
}

}  // namespace millrace
