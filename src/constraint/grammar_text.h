// Grammars as text: literals, choices, and the limits on what clients may send.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "constraint/token_grammar.h"

namespace millrace {

// A literal of the grammar language, quotes included.
std::string grammar_literal(std::string_view text);

// A regular expression that is small enough.
Status check_regex(std::string_view pattern);

// One of a few texts.
GrammarSource choice_source(std::span<const std::string> choices);

// The text as the compiler shall see it: sizes, nesting and repetition are within limits, so that
// compiling ends soon, and nothing in it would be left out.
Result<std::string> checked_text(const GrammarSource& source);

}  // namespace millrace
