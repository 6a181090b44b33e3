// The tokens of a template with a reading position, and the parsers' ways to complain.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/failure.h"
#include "text/jinja/lexer.h"
#include "text/jinja/limits.h"

namespace millrace::jinja {

class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, const JinjaLimits& limits)
      : tokens_(std::move(tokens)), max_depth_(limits.parse_depth) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  // The current token, moving on to the next. The end stays current.
  const Token& take() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  int line() const { return current().line; }

  bool at_operator(std::string_view sign) const { return current().is_operator(sign); }
  bool at_name(std::string_view name) const { return current().is_name(name); }
  bool skip_operator(std::string_view sign) {
    if (!at_operator(sign)) return false;
    take();
    return true;
  }
  bool skip_name(std::string_view name) {
    if (!at_name(name)) return false;
    take();
    return true;
  }
  void expect_operator(std::string_view sign) {
    if (!skip_operator(sign)) fail_expected(fmt::format("'{}'", sign));
  }
  void expect(TokenKind kind) {
    if (current().kind != kind) fail_expected(describe({.kind = kind, .line = 0, .text = ""}));
    take();
  }
  std::string expect_name() {
    if (current().kind != TokenKind::Name) fail_expected("a name");
    return take().text;
  }

  [[noreturn]] void fail_expected(std::string_view what) const {
    fail("found {}, expected {}", describe(current()), what);
  }
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Failure{ErrorCode::Corrupt, fmt::format(format, std::forward<Args>(args)...), line()};
  }

  // One level of nesting for as long as it lives.
  class Level {
   public:
    explicit Level(TokenStream& stream) : stream_(stream) {
      if (stream_.depth_ >= stream_.max_depth_) stream_.too_deep();
      ++stream_.depth_;
    }
    ~Level() { --stream_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& stream_;
  };
  // Chains such as a + b + c nest in the tree though the parser does not recurse for them.
  void check_depth(int depth) const {
    if (depth > 2 * max_depth_) too_deep();
  }

 private:
  [[noreturn]] void too_deep() const {
    throw Failure{ErrorCode::TooLarge, fmt::format("nested deeper than {} levels", max_depth_),
                  line()};
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  int max_depth_;
};

}  // namespace millrace::jinja
