// A build without XGrammar refuses by name.
#include <gtest/gtest.h>

#include "constraint/token_grammar.h"
#include "tests/unit/constraint/grammar_support.h"

namespace millrace::testing {
namespace {

TEST(AbsentCompiler, RefusesByName) {
  EXPECT_FALSE(GrammarCompiler::is_available());
  for (const auto kind : {GrammarSource::Kind::JsonSchema, GrammarSource::Kind::Regex}) {
    const auto grammar = nano_compiler().compile({.kind = kind, .text = "{}"});
    ASSERT_FALSE(grammar);
    EXPECT_EQ(grammar.error().code, ErrorCode::Unsupported);
    EXPECT_NE(grammar.error().message.find("without XGrammar"), std::string::npos);
  }
}

}  // namespace
}  // namespace millrace::testing
