#include "cli/chat.h"

#include <histedit.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "base/json.h"
#include "cli/interrupts.h"
#include "text/chat_request.h"

namespace millrace::cli {

ChatSession::ChatSession(Engine& engine, ChatSettings settings)
    : engine_(&engine), settings_(std::move(settings)) {
  reset();
}

void ChatSession::reset() {
  messages_ = Json::array();
  if (!settings_.system.empty())
    messages_.push_back({{"role", "system"}, {"content", settings_.system}});
}

Result<std::vector<TokenId>> ChatSession::prompt_tokens(const std::string& message) const {
  if (settings_.raw || !engine_->files().chat_template) {
    if (!engine_->files().tokenizer)
      return fail(ErrorCode::Unsupported, "{}: has no tokenizer", engine_->files().path);
    return engine_->files().tokenizer->encode(message, {.add_special_tokens = true});
  }
  ChatRequest chat;
  chat.messages = messages_;
  chat.messages.push_back({{"role", "user"}, {"content", message}});
  chat.tools = settings_.tools;
  chat.add_generation_prompt = true;
  return engine_->chat_prompt(chat);
}

Result<Completion> ChatSession::say(const std::string& message, TokenCallback show) {
  Request request = settings_.request;
  request.prompt = MILLRACE_TRY(prompt_tokens(message));
  tokens_ = request.prompt;
  Answer answer = MILLRACE_TRY(engine_->submit(std::move(request), std::move(show)));
  // Waits for the end or for Ctrl-C, whichever comes first; 10 ms of delay at the end is unseen.
  const sigset_t set = interrupt_set();
  while (!answer.done()) {
    const timespec tick = {.tv_sec = 0, .tv_nsec = 10'000'000};
    if (sigtimedwait(&set, nullptr, &tick) == SIGINT) answer.cancel();
  }
  const Completion& completion = answer.wait();
  messages_.push_back({{"role", "user"}, {"content", message}});
  messages_.push_back({{"role", "assistant"}, {"content", completion.text}});
  tokens_.insert(tokens_.end(), completion.tokens.begin(), completion.tokens.end());
  return completion;
}

Status ChatSession::save(const std::string& path) {
  if (tokens_.empty())
    return fail(ErrorCode::InvalidArgument, "{}: nothing has been said yet", path);
  MILLRACE_TRY(engine_->save_session(path, tokens_, settings_.request.cache_salt));
  const std::string beside = path + ".json";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << messages_.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  if (!file.flush())
    return fail(ErrorCode::InvalidArgument, "{}: cannot be written: {}", beside,
                std::strerror(errno));
  return {};
}

Status ChatSession::load(const std::string& path) {
  const std::string beside = path + ".json";
  Json messages = MILLRACE_TRY(read_json_file(beside));
  const auto is_message = [](const Json& message) {
    return message.is_object() && message.contains("role") && message["role"].is_string() &&
           message.contains("content") && message["content"].is_string();
  };
  if (!messages.is_array() || !std::all_of(messages.begin(), messages.end(), is_message))
    return fail(ErrorCode::Corrupt, "{}: expected a list of messages with role and content",
                beside);
  tokens_ = MILLRACE_TRY(engine_->load_session(path, settings_.request.cache_salt));
  messages_ = std::move(messages);
  return {};
}

struct LineEditor::State {
  EditLine* line = nullptr;
  History* history = nullptr;
  const char* prompt = "";

  ~State() {
    if (history) history_end(history);
    if (line) el_end(line);
  }
};

LineEditor::LineEditor() : state_(std::make_unique<State>()) {
  std::setlocale(LC_CTYPE, "");
  state_->line = el_init("millrace", stdin, stdout, stderr);
  state_->history = history_init();
  check(state_->line && state_->history, "libedit could not be set up");
  HistEvent event;
  history(state_->history, &event, H_SETSIZE, 1000);
  el_set(state_->line, EL_CLIENTDATA, state_.get());
  el_set(
      state_->line, EL_PROMPT, +[](EditLine* line) {
        State* state = nullptr;
        el_get(line, EL_CLIENTDATA, &state);
        return const_cast<char*>(state->prompt);  // libedit's signature; it does not write
      });
  el_set(state_->line, EL_EDITOR, "emacs");
  el_set(state_->line, EL_HIST, history, state_->history);
}

LineEditor::~LineEditor() = default;

std::optional<std::string> LineEditor::read(const char* prompt) {
  state_->prompt = prompt;
  // At the prompt Ctrl-C interrupts the read; everywhere else it stays blocked.
  struct sigaction interrupt = {};
  struct sigaction before = {};
  interrupt.sa_handler = [](int) {};
  ::sigaction(SIGINT, &interrupt, &before);
  const sigset_t set = interrupt_set();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  // Before the prompt is seen: a key that comes at once must not meet a terminal in line mode.
  el_set(state_->line, EL_PREP_TERM, 1);
  int length = 0;
  errno = 0;
  const char* text = el_gets(state_->line, &length);
  const bool interrupted = errno == EINTR;
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::sigaction(SIGINT, &before, nullptr);
  if (text == nullptr || length <= 0) {
    std::fputc('\n', stdout);
    if (interrupted) return std::string();
    return std::nullopt;
  }
  std::string line(text, static_cast<std::size_t>(length));
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  HistEvent event;
  if (!line.empty()) history(state_->history, &event, H_ENTER, line.c_str());
  return line;
}

}  // namespace millrace::cli
