// llama.cpp's kinds of tokens, as "tokenizer.ggml.token_type" has them.
#pragma once

#include <cstdint>

namespace millrace {

inline constexpr std::int32_t kGgufNormal = 1;
inline constexpr std::int32_t kGgufUnknown = 2;
inline constexpr std::int32_t kGgufControl = 3;      // special
inline constexpr std::int32_t kGgufUserDefined = 4;  // added, not special
inline constexpr std::int32_t kGgufUnused = 5;       // padding rows of the embedding

}  // namespace millrace
