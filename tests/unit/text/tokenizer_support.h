// Shared by the tokenizer's tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace millrace {

inline std::string text_data(const std::string& name) {
  return std::string(MILLRACE_SOURCE_DIR) + "/tests/data/text/" + name;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline const Tokenizer& fixture_tokenizer() {
  static const Tokenizer tokenizer = [] {
    auto loaded = Tokenizer::from_json_file(text_data("tokenizer.json"));
    EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
    return std::move(loaded).value();
  }();
  return tokenizer;
}

inline std::vector<TokenId> encoded(const Tokenizer& tokenizer, std::string_view text,
                                    EncodeOptions options = {.add_special_tokens = false}) {
  auto tokens = tokenizer.encode(text, options);
  EXPECT_TRUE(tokens) << (tokens ? "" : tokens.error().message);
  return tokens ? *tokens : std::vector<TokenId>{};
}

}  // namespace millrace
