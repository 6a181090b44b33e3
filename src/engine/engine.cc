#include "engine/engine.h"

#include "base/json.h"
#include "engine/draft_model.h"
#include "engine/engine_loop.h"
#include "text/chat_request.h"

namespace millrace {

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::Stop:
      return "stop";
    case FinishReason::Length:
      return "length";
    case FinishReason::Cancelled:
      return "cancelled";
    case FinishReason::TimedOut:
      return "timeout";
    case FinishReason::Failed:
      return "failed";
  }
  return "unknown";
}

void Answer::cancel() {
  state_->cancelled = true;
  state_->cancels->fetch_add(1, std::memory_order_release);
}

const Completion& Answer::wait() {
  state_->ended.wait(false, std::memory_order_acquire);
  return state_->completion;
}

bool Answer::done() const {
  return state_->ended.load(std::memory_order_acquire);
}

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& given) {
  EngineOptions options = given;
  LoadedModel files = MILLRACE_TRY(load_model(options.model, options.load));
  if (!options.draft_model.empty() && !options.drafter) {
    const std::shared_ptr<DraftModel> model = MILLRACE_TRY(DraftModel::open(options, files));
    options.memory_taken += model->bytes();
    options.drafter = [model](std::int64_t most) { return DraftModel::make_drafter(model, most); };
  }
  std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), options));
  return std::make_unique<EngineLoop>(std::move(parts), options);
}

Result<std::vector<TokenId>> Engine::chat_prompt(const ChatRequest& chat) const {
  const LoadedModel& loaded = files();
  if (!loaded.tokenizer)
    return fail(ErrorCode::Unsupported, "{}: has no tokenizer, give token ids", loaded.path);
  if (!loaded.chat_template)
    return fail(ErrorCode::Unsupported, "{}: has no chat template", loaded.path);
  const std::string text = MILLRACE_TRY(loaded.chat_template->render(chat));
  if (text.empty())
    return fail(ErrorCode::InvalidArgument, "{}: the chat template gives an empty prompt",
                loaded.path);
  // The template writes the beginning-of-text token itself.
  return loaded.tokenizer->encode(text, {.add_special_tokens = false});
}

Result<std::vector<TokenId>> Engine::chat_prompt(std::string_view user_message) const {
  ChatRequest chat;
  chat.messages = Json::array({{{"role", "user"}, {"content", std::string(user_message)}}});
  chat.add_generation_prompt = true;
  return chat_prompt(chat);
}

}  // namespace millrace
