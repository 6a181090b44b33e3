// JSON schemas of answers (even first byte) and of tools (odd): refused with a reason, or usable.
#include <cstdint>
#include <string>

#include "base/json.h"
#include "constraint/call_grammar.h"
#include "tests/fuzz/grammar_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millrace;
  if (size < 1) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    compile_and_walk({.kind = GrammarSource::Kind::JsonSchema, .text = text});
    return 0;
  }
  auto schema = parse_json(text, "schema", 128);
  if (!schema || !schema->is_object()) return 0;
  const Json tools = {
      {{"function",
        {{"name", "f"}, {"strict", (data[0] & 2) != 0}, {"parameters", std::move(*schema)}}}}};
  const auto source = call_source(
      tools, {.begins_with_mark = (data[0] & 4) != 0, .one_call = (data[0] & 8) != 0}, 10, 11);
  if (source) compile_and_walk(*source);
  return 0;
}
