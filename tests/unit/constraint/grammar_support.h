// Random texts of a grammar: what a model that knows nothing would write under its masks.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "constraint/constraint.h"

namespace millrace::testing {

inline const GrammarCompiler& nano_compiler() {
  static const GrammarCompiler kCompiler(
      *Tokenizer::from_folder(MILLRACE_SOURCE_DIR "/models/nano"), 1024, {7});
  return kCompiler;
}

inline std::shared_ptr<const TokenGrammar> compiled(GrammarSource source) {
  auto grammar = nano_compiler().compile(source);
  EXPECT_TRUE(grammar.has_value()) << (grammar ? "" : grammar.error().message);
  return grammar ? *grammar : nullptr;
}

// Tokens until an end, at random from each mask. Shorter tokens and ends are likelier than their
// number says, so that texts end.
inline std::vector<TokenId> random_tokens(ConstraintState& state, std::uint64_t seed,
                                          std::size_t most = 2000) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> mask(static_cast<std::size_t>(mask_words(1024)));
  std::vector<TokenId> tokens;
  while (tokens.size() < most) {
    std::vector<TokenId> allowed;
    if (state.binds()) {
      state.fill(mask);
      for (TokenId t = 0; t < 1024; ++t)
        if (mask_has(mask, t)) allowed.push_back(t);
    } else {
      allowed = {7};
    }
    if (allowed.empty()) {
      ADD_FAILURE() << "no token may come after "
                    << nano_compiler().tokenizer().decode(tokens, {.skip_special_tokens = false});
      break;
    }
    // Any of the few that close something, or just any.
    TokenId token = allowed[random() % allowed.size()];
    if (mask_has(mask, 7) && state.binds() && random() % 3 == 0) token = 7;
    if (tokens.size() > 60) {
      std::vector<TokenId> closing;
      for (const TokenId each : allowed) {
        const std::string_view bytes = nano_compiler().tokenizer().token_bytes(each);
        if (bytes == "\"" || bytes == "'" || bytes == "]" || bytes == "}" || bytes == ")" ||
            each == 7 || each == 11)
          closing.push_back(each);
      }
      if (!closing.empty()) token = closing[random() % closing.size()];
    }
    EXPECT_TRUE(state.accept(token)) << "token " << token << " is allowed, but not accepted";
    if (token == 7) break;
    tokens.push_back(token);
  }
  return tokens;
}

inline std::string random_text(const std::shared_ptr<const TokenGrammar>& grammar,
                               std::uint64_t seed) {
  auto constraint = std::make_shared<Constraint>();
  constraint->answer = grammar;
  constraint->ends = {7};
  constraint->vocab = 1024;
  ConstraintState state(constraint);
  return nano_compiler().tokenizer().decode(random_tokens(state, seed),
                                            {.skip_special_tokens = false});
}

}  // namespace millrace::testing
