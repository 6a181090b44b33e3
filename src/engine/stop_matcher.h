// Finds stop strings in a stream of text, across the borders of tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);

  // Takes more text; returns what is certain to stand before any stop string. Text that may be
  // the beginning of one is held back. After a match nothing more comes out.
  std::string push(std::string_view text);
  // What was held back, when the stream ends without a match.
  std::string flush();

  bool matched() const { return matched_; }
  // The stop string that was found; empty without a match.
  const std::string& match() const { return match_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  std::string match_;
  bool matched_ = false;
};

}  // namespace millrace
