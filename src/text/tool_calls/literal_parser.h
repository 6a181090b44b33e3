// One Python or JSON literal, character by character, to JSON text while it is being read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

enum class LiteralSyntax {
  PythonText,  // escapes as Python has them; JSON's true, false and null are read too
  JsonText,    // escapes as JSON has them; Python's True, False and None are read too
};

// Reads strings (all of Python's quotes, raw ones, adjacent ones joined), numbers (signs, bases,
// underscores, leading zeros), True, False, None, lists, tuples (as lists) and dicts (keys become
// strings, as json.dumps makes them). Models forget to escape quotes inside a string: a quote ends
// it only where what follows could follow a string.
//
// Nesting is limited and kept in a stack of its own; memory grows by what is held back alone.
class LiteralParser {
 public:
  enum class Step {
    More,    // the character belongs to the literal, or is white space around it
    Ended,   // the literal ended before this character, which is not consumed
    Failed,  // not a literal; see problem()
  };

  static constexpr std::size_t kMostDepth = 64;

  // `followers`: the characters that may stand after the literal, such as ",)".
  LiteralParser(LiteralSyntax syntax, std::string_view followers)
      : syntax_(syntax), followers_(followers) {}

  Step push(char c);

  // JSON text that is certain by now, and no longer kept here.
  std::string take();

  // Whether the literal would be complete if nothing more came; completes it if so.
  bool finish();

  // Whether nothing but white space has come yet.
  bool empty() const { return state_ == State::Value && frames_.empty(); }
  const std::string& problem() const { return problem_; }

 private:
  enum class State {
    Value,         // white space, then the beginning of a value
    StringOpen,    // after one quote: may be the first of three
    StringOpen2,   // after two quotes: an empty string, or three are coming
    String,        // inside
    Escape,        // after a backslash
    EscapeDigits,  // in \xhh, \uhhhh, \Uhhhhhhhh or \ooo
    MaybeClosed,   // after a quote, and white space: what follows decides
    Number,        // digits and what belongs to them
    Sign,          // after + or -
    Word,          // letters: True, None, r"..."
    After,         // after a value
    Colon,         // after a key
  };
  enum class Kind { List, Tuple, Paren, Dict };
  struct Frame {
    Kind kind;
    std::size_t out_at;  // Paren: where a '[' goes if a comma shows that it is a tuple
    bool in_key = false;
    bool first = true;  // nothing in it yet
  };

  Step fail(std::string_view problem);
  Step value(char c);
  Step close(char c);
  Step after(char c);
  Step string_char(char c);
  Step escape_char(char c);
  Step escape_digit(char c);
  Step maybe_closed(char c);
  Step end_number(char c);
  Step end_word(char c);
  void begin_element();
  void begin_string(char quote);
  void end_value();
  void put_code(unsigned code);
  void flush_surrogate();
  void put(char c);
  bool follows_string(char c) const;
  bool at_key() const { return !frames_.empty() && frames_.back().in_key; }
  bool looks_like_next_argument() const;

  LiteralSyntax syntax_;
  std::string followers_;
  State state_ = State::Value;
  std::vector<Frame> frames_;
  std::string out_;
  std::string problem_;
  std::string token_;  // of a number or word; of an escape as written
  std::string held_;   // the quote that may have closed a string and the white space after it
  std::string tail_;   // the end of the string's text, to judge a stray quote by
  char quote_ = 0;
  int quotes_ = 0;  // of a triple quote, seen in a row
  bool triple_ = false;
  bool raw_ = false;
  bool negative_ = false;
  bool stray_quote_ = false;  // the string holds an unescaped quote
  unsigned code_ = 0;
  int digits_left_ = 0;
  unsigned surrogate_ = 0;  // a high one that waits for its partner
};

// "0x1F" -> "31", "007" -> "7", "1_000.5" -> "1000.5", ".5" -> "0.5"; empty if it is no number.
std::string json_number_of(std::string_view python, bool negative);

}  // namespace millrace
