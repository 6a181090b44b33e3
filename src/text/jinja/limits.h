// What a template may use. A template comes with a model's files and its input from the network:
// both are hostile until the limits have held.
#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace {

struct JinjaLimits {
  std::size_t template_bytes = 1u << 20;  // of source text
  int parse_depth = 200;                  // nested expressions and blocks while parsing
  int evaluation_depth = 1000;            // nested evaluations: macros calling macros
  std::uint64_t steps = 50'000'000;       // evaluated nodes, touched items, and 1 for 64 bytes
  std::size_t value_bytes = 64u << 20;    // of one text, list or dict that is being built
  std::size_t memory_bytes = 512u << 20;  // of all values alive at once, the input included
  std::size_t output_bytes = 64u << 20;   // of the rendered text
  int value_depth = 256;                  // lists and dicts nested in one another
};

}  // namespace millrace
