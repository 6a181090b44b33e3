#include "engine/draft_model.h"

#include <algorithm>

namespace millrace {
namespace {

// What the second model must have in common with the first.
Status same_tokens(const LoadedModel& model, const LoadedModel& draft) {
  const auto differ = [&](const std::string& found, const std::string& expected) -> Status {
    return fail(ErrorCode::InvalidArgument,
                "draft model {}: found {}, expected {} as {} has: its guesses are to be the same "
                "tokens",
                draft.path, found, expected, model.path);
  };
  if (draft.config.vocab != model.config.vocab)
    return differ(fmt::format("a vocabulary of {}", draft.config.vocab),
                  fmt::format("{}", model.config.vocab));
  if (!draft.tokenizer || !model.tokenizer) return {};
  const TokenId tokens = std::max(draft.tokenizer->vocab_size(), model.tokenizer->vocab_size());
  for (TokenId token = 0; token < tokens; ++token) {
    const std::string_view found = draft.tokenizer->token_text(token);
    const std::string_view expected = model.tokenizer->token_text(token);
    if (found != expected)
      return differ(fmt::format("token {} '{}'", token, found), fmt::format("'{}'", expected));
  }
  return {};
}

}  // namespace

class DraftModel::ModelDrafter final : public Drafter {
 public:
  ModelDrafter(std::shared_ptr<DraftModel> model, std::int64_t most_tokens)
      : model_(std::move(model)),
        most_tokens_(std::min(most_tokens, model_->parts_->sizes.context)) {
    computed_.reserve(static_cast<std::size_t>(most_tokens_));
  }

  void propose(std::span<const TokenId> tokens, std::int64_t most,
               std::vector<TokenId>& drafts) override {
    most = std::min(most, most_tokens_ - std::ssize(tokens));
    if (most <= 0 || !has_memory()) return;
    try {
      guess(tokens, most, drafts);
    } catch (const StuckStep&) {
      // The request goes on without guesses until its sequence is computed again.
      model_->parts_->runner->abandon();
      forget_from(0);
    }
  }

 private:
  bool has_memory() {
    if (!memory_) memory_ = SequenceMemory::open(*model_->parts_->cache, most_tokens_);
    return memory_.has_value();
  }

  void guess(std::span<const TokenId> tokens, std::int64_t most, std::vector<TokenId>& drafts) {
    // All but the last token, so that there are logits; the guesses before may have been wrong.
    const std::size_t common = std::min(computed_.size(), tokens.size() - 1);
    const auto known = std::span(computed_).first(common);
    forget_from(static_cast<std::size_t>(
        std::mismatch(known.begin(), known.end(), tokens.begin()).first - known.begin()));
    if (memory_->replay_count() > 0) forget_from(0);  // more was taken back than guessed
    std::span<const TokenId> next = tokens.subspan(computed_.size());
    for (std::int64_t i = 0; i < most; ++i) {
      const std::optional<TokenId> guessed = model_->run(*memory_, next);
      if (!guessed) return forget_from(computed_.size());
      computed_.insert(computed_.end(), next.begin(), next.end());
      drafts.push_back(*guessed);
      next = {&drafts.back(), 1};
    }
  }

  void forget_from(std::size_t length) {
    computed_.resize(std::min(length, computed_.size()));
    if (std::ssize(computed_) < memory_->length()) memory_->rewind(std::ssize(computed_));
  }

  std::shared_ptr<DraftModel> model_;
  std::int64_t most_tokens_;
  std::optional<SequenceMemory> memory_;
  std::vector<TokenId> computed_;  // what the memory holds
};

Result<std::shared_ptr<DraftModel>> DraftModel::open(const EngineOptions& options,
                                                     const LoadedModel& model) {
  LoadedModel files = MILLRACE_TRY(load_model(options.draft_model, options.load));
  MILLRACE_TRY(same_tokens(model, files));
  EngineOptions own = options;  // most_draft_tokens too: so many are taken back for free
  own.model = options.draft_model;
  own.keep_prefixes = false;
  own.context = std::min(options.context, files.config.max_position);
  // Not what the GPU's memory leaves, which is the first model's: requests beyond it do not guess.
  constexpr std::int64_t kTokens = 1 << 16;
  own.cache_tokens = std::max(kTokens, own.context);
  const std::int64_t weights = MILLRACE_TRY(text_weight_bytes(files, own.load));
  auto parts = MILLRACE_TRY(make_parts(std::move(files), own));
  const ModelConfig& config = parts->files.config;
  const std::int64_t bytes =
      plan_memory(config, weights, parts->sizes, activation_dtype(*parts->device, config)).total();
  return std::shared_ptr<DraftModel>(new DraftModel(std::move(parts), bytes));
}

std::unique_ptr<Drafter> DraftModel::make_drafter(std::shared_ptr<DraftModel> model,
                                                  std::int64_t most_tokens) {
  return std::make_unique<ModelDrafter>(std::move(model), most_tokens);
}

std::optional<TokenId> DraftModel::run(SequenceMemory& memory, std::span<const TokenId> tokens) {
  static const SampleRow kGreedy;
  Runner& runner = *parts_->runner;
  while (!tokens.empty()) {
    const auto count = std::min(std::ssize(tokens), parts_->sizes.limits.max_rows);
    if (!memory.reserve(count)) return std::nullopt;
    const bool last = count == std::ssize(tokens);
    const StepSpan span = {.memory = &memory,
                           .tokens = tokens.first(static_cast<std::size_t>(count)),
                           .kind = count == 1 ? SpanKind::Decode : SpanKind::Prefill,
                           .logits = last ? Logits::Last : Logits::None,
                           .sample = last && runner.can_sample() ? &kGreedy : nullptr};
    runner.run({&span, 1});
    tokens = tokens.subspan(static_cast<std::size_t>(count));
  }
  if (runner.can_sample()) {
    const TokenId token = runner.chosen(0);
    return token >= 0 ? std::optional(token) : std::nullopt;
  }
  const std::span<const float> logits = runner.logits(0);
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace millrace
