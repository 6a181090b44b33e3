// The two splits that nearly every byte-level BPE file uses, written by hand: several times faster
// than a regex engine, linear in the text, and with the character classes of the `tokenizers`
// library. tests compare them with the regular expressions.
#pragma once

#include <cstddef>
#include <string_view>

namespace millrace {

// The patterns, as files spell them.
extern const std::string_view kLlama3Pattern;
extern const std::string_view kGpt2Pattern;

// The end of the piece that begins at `begin` < valid.size(); `valid` is valid UTF-8. The pieces
// cover the text without gaps.
std::size_t llama3_piece_end(std::string_view valid, std::size_t begin);
std::size_t gpt2_piece_end(std::string_view valid, std::size_t begin);

}  // namespace millrace
