// Stands in for xgrammar_compiler.cc in builds without XGrammar.
#include "constraint/token_grammar.h"

namespace millrace {

struct GrammarCompiler::Backend {};

GrammarCompiler::GrammarCompiler(Tokenizer tokenizer, std::int64_t vocab, std::vector<TokenId> ends)
    : tokenizer_(std::move(tokenizer)), vocab_(vocab), ends_(std::move(ends)) {}

GrammarCompiler::~GrammarCompiler() = default;

bool GrammarCompiler::is_available() {
  return false;
}

Result<std::shared_ptr<const TokenGrammar>> GrammarCompiler::compile(const GrammarSource&) const {
  return fail(ErrorCode::Unsupported,
              "answers cannot be constrained: this millrace was built without XGrammar");
}

}  // namespace millrace
