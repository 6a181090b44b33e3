// A grammar of the calls that a list of tools allows, as LFM2 writes them:
//   [name(argument="value", other=[1, {"k": None}]), another()]
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "constraint/token_grammar.h"

namespace millrace {

struct CallRules {
  bool begins_with_mark = false;  // the begin mark is part of the text
  bool one_call = false;
  std::string only;  // the one function that may be called; empty: any
};

// `tools` in OpenAI's form. The text ends with the end mark. Arguments of tools with "strict": true
// are held to all of their schema, or refused by name; those of others to names, types, values and
// whatever else can be enforced.
Result<GrammarSource> call_source(const Json& tools, const CallRules& rules, TokenId begin_mark,
                                  TokenId end_mark);

// Whether any tool says "strict": true.
bool has_strict_tool(const Json& tools);

}  // namespace millrace
