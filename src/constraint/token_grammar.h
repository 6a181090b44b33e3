// Languages as masks over a tokenizer's tokens. Compiled by a library that may be absent from a
// build; then every request for a grammar is refused by name (absent_compiler.cc).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "constraint/token_mask.h"
#include "text/tokenizer.h"

namespace millrace {

// How far one text has come in a grammar. One thread at a time.
class TokenMatcher {
 public:
  virtual ~TokenMatcher() = default;
  // The tokens that may come next; where the text may end, the ends of a turn among them.
  virtual void fill(TokenMask mask) = 0;
  // False, with nothing changed, for a token that may not come.
  virtual bool accept(TokenId token) = 0;
  // Takes back as many accepted tokens.
  virtual void rollback(int tokens) = 0;
  // The text may end here.
  virtual bool is_complete() const = 0;
};

// Compiled; immutable, so that many texts may be matched with it at once.
class TokenGrammar {
 public:
  virtual ~TokenGrammar() = default;
  virtual std::unique_ptr<TokenMatcher> matcher() const = 0;
  virtual std::size_t bytes() const = 0;
};

struct GrammarSource {
  enum class Kind {
    JsonSchema,
    Regex,    // matches the whole text; ECMAScript's syntax
    Grammar,  // EBNF as llama.cpp and XGrammar write it; the rule "root" is the text
  };
  Kind kind;
  std::string text;
  // White space that may stand before the text: an answer behind a thought begins with it.
  bool leading_space = false;
};

class GrammarCompiler {
 public:
  // For texts of `tokenizer`, whose model has `vocab` rows and ends a turn with any of `ends`.
  // Cheap: the vocabulary is read when the first grammar is compiled.
  GrammarCompiler(Tokenizer tokenizer, std::int64_t vocab, std::vector<TokenId> ends);
  ~GrammarCompiler();

  // Whether this build can compile at all.
  static bool is_available();

  // Thread-safe; milliseconds for common schemas, and nothing for what was compiled lately. What
  // is not supported is refused by name.
  Result<std::shared_ptr<const TokenGrammar>> compile(const GrammarSource& source) const;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::int64_t vocab() const { return vocab_; }
  const std::vector<TokenId>& ends() const { return ends_; }

 private:
  struct Backend;
  Tokenizer tokenizer_;
  std::int64_t vocab_;
  std::vector<TokenId> ends_;
  std::unique_ptr<Backend> backend_;
};

}  // namespace millrace
