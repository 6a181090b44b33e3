// A conversation at the terminal.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "engine/engine.h"

namespace millrace::cli {

// NOLINTNEXTLINE(bugprone-exception-escape): takes the move of a JSON value for one that can throw.
struct ChatSettings {
  std::string system;
  Json tools;        // null: none
  bool raw = false;  // prompts are continued as they are
  Request request;   // its prompt is filled in for each turn
};

class ChatSession {
 public:
  ChatSession(Engine& engine, ChatSettings settings);

  // One turn: asks, streams the answer to `show` and remembers both. Ctrl-C cancels the answer (see
  // block_interrupts()); what was said of it stays in the conversation.
  Result<Completion> say(const std::string& message, TokenCallback show);
  void reset();

  // The conversation and its memory, to a file and back: `path` holds keys, values and conv state,
  // `path`.json the messages.
  Status save(const std::string& path);
  Status load(const std::string& path);

 private:
  Result<std::vector<TokenId>> prompt_tokens(const std::string& message) const;

  Engine* engine_;
  ChatSettings settings_;
  Json messages_;
  std::vector<TokenId> tokens_;  // of the last turn, prompt and answer
};

// Reads lines with editing and history where the terminal allows.
class LineEditor {
 public:
  LineEditor();
  ~LineEditor();
  // Nothing at the end of input. Ctrl-C gives an empty line.
  std::optional<std::string> read(const char* prompt);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace::cli
