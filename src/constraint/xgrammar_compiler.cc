// The only file that knows XGrammar.
#include <dlpack/dlpack.h>
#include <xgrammar/xgrammar.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "base/check.h"
#include "base/thread_pool.h"
#include "constraint/grammar_text.h"
#include "constraint/token_grammar.h"

namespace {

// What XGrammar warned of since the last grammar was begun on this thread: parts of a schema that
// it would leave out.
thread_local std::string ignored_part;

}  // namespace

namespace xgrammar {

// XGrammar declares these for whoever links it: where its messages go.
[[noreturn]] void LogFatalImpl(const std::string& file, int lineno, const std::string& message);
void LogMessageImpl(const std::string& file, int lineno, int level, const std::string& message);

void LogFatalImpl(const std::string&, int, const std::string& message) {
  throw std::runtime_error(message);
}

void LogMessageImpl(const std::string&, int, int level, const std::string& message) {
  constexpr int kWarning = 2;
  if (level >= kWarning && ignored_part.empty()) ignored_part = message;
}

}  // namespace xgrammar

namespace millrace {
namespace {

// A thread for its sake would take longer than the work.
constexpr std::int64_t kSmallVocabulary = 8192;

class Matcher final : public TokenMatcher {
 public:
  explicit Matcher(const xgrammar::CompiledGrammar& grammar, std::int64_t words)
      : matcher_(grammar), words_(words) {}

  void fill(TokenMask mask) override {
    check(static_cast<std::int64_t>(mask.size()) == words_, "a mask of another vocabulary");
    std::fill(mask.begin(), mask.end(), 0);
    if (matcher_.IsTerminated()) {
      for (const int end : matcher_.GetStopTokenIds()) mask_set(mask, end, true);
      return;
    }
    std::int64_t shape = words_;
    std::int64_t stride = 1;
    DLTensor tensor = {.data = mask.data(),
                       .device = {kDLCPU, 0},
                       .ndim = 1,
                       .dtype = xgrammar::GetBitmaskDLType(),
                       .shape = &shape,
                       .strides = &stride,
                       .byte_offset = 0};
    // Without need it leaves the mask as it is.
    if (!matcher_.FillNextTokenBitmask(&tensor)) std::fill(mask.begin(), mask.end(), ~0u);
  }

  bool accept(TokenId token) override {
    if (matcher_.IsTerminated()) {
      const auto& ends = matcher_.GetStopTokenIds();
      if (std::find(ends.begin(), ends.end(), token) == ends.end()) return false;
      ++beyond_end_;
      return true;
    }
    return matcher_.AcceptToken(token);
  }

  void rollback(int tokens) override {
    const int beyond = std::min(tokens, beyond_end_);
    beyond_end_ -= beyond;
    if (tokens > beyond) matcher_.Rollback(tokens - beyond);
  }

  bool is_complete() const override { return matcher_.IsCompleted() || matcher_.IsTerminated(); }

 private:
  xgrammar::GrammarMatcher matcher_;
  std::int64_t words_;
  int beyond_end_ = 0;  // ends accepted behind the end
};

class Grammar final : public TokenGrammar {
 public:
  Grammar(xgrammar::CompiledGrammar compiled, std::int64_t words)
      : compiled_(std::move(compiled)), words_(words), bytes_(compiled_.MemorySizeBytes()) {}
  std::unique_ptr<TokenMatcher> matcher() const override {
    return std::make_unique<Matcher>(compiled_, words_);
  }
  std::size_t bytes() const override { return bytes_; }

 private:
  xgrammar::CompiledGrammar compiled_;
  std::int64_t words_;
  std::size_t bytes_;
};

xgrammar::Grammar parse(GrammarSource::Kind kind, const std::string& text) {
  switch (kind) {
    case GrammarSource::Kind::JsonSchema:
      // Strict: no properties but those named. All on one line, with ", " and ": ": free to choose,
      // a small model writes little but white space.
      return xgrammar::Grammar::FromJSONSchema(text, false, std::nullopt, std::nullopt, true);
    case GrammarSource::Kind::Regex:
      return xgrammar::Grammar::FromRegex(text);
    case GrammarSource::Kind::Grammar:
      return xgrammar::Grammar::FromEBNF(text);
  }
  check_failed("a grammar of no kind");
}

// XGrammar's texts, as one line without the parts that speak of its own source.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  constexpr std::size_t kMost = 300;
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

}  // namespace

struct GrammarCompiler::Backend {
  // Grammars compiled lately, newest first.
  struct Entry {
    std::string key;
    std::shared_ptr<const TokenGrammar> grammar;
  };
  static constexpr std::size_t kMostEntries = 256;
  static constexpr std::size_t kMostBytes = 256u << 20;

  std::once_flag once;
  std::optional<xgrammar::GrammarCompiler> compiler;
  std::mutex mutex;
  std::list<Entry> recent;
  std::size_t bytes = 0;

  std::shared_ptr<const TokenGrammar> find(const std::string& key) {
    const std::lock_guard lock(mutex);
    const auto at = std::find_if(recent.begin(), recent.end(),
                                 [&](const Entry& entry) { return entry.key == key; });
    if (at == recent.end()) return nullptr;
    recent.splice(recent.begin(), recent, at);
    return at->grammar;
  }

  void keep(std::string key, const std::shared_ptr<const TokenGrammar>& grammar) {
    const std::lock_guard lock(mutex);
    bytes += grammar->bytes() + key.size();
    recent.push_front({std::move(key), grammar});
    while (recent.size() > 1 && (recent.size() > kMostEntries || bytes > kMostBytes)) {
      bytes -= recent.back().grammar->bytes() + recent.back().key.size();
      recent.pop_back();
    }
  }
};

GrammarCompiler::GrammarCompiler(Tokenizer tokenizer, std::int64_t vocab, std::vector<TokenId> ends)
    : tokenizer_(std::move(tokenizer)),
      vocab_(vocab),
      ends_(std::move(ends)),
      backend_(std::make_unique<Backend>()) {}

GrammarCompiler::~GrammarCompiler() = default;

bool GrammarCompiler::is_available() {
  return true;
}

Result<std::shared_ptr<const TokenGrammar>> GrammarCompiler::compile(
    const GrammarSource& source) const {
  std::string key = fmt::format("{}{}{}", static_cast<int>(source.kind),
                                source.leading_space ? '_' : '.', source.text);
  if (auto known = backend_->find(key)) return known;
  const std::string text = MILLRACE_TRY(checked_text(source));
  try {
    std::call_once(backend_->once, [this] {
      // Special tokens are no text: grammars name them by their ids where they may come. Their
      // bytes are in no UTF-8, so that no other rule takes them; ids without token have none.
      std::vector<std::string> texts(static_cast<std::size_t>(vocab_));
      const TokenId known = std::min(tokenizer_.vocab_size(), static_cast<TokenId>(vocab_));
      for (TokenId token = 0; token < known; ++token)
        texts[static_cast<std::size_t>(token)] = tokenizer_.is_added(token)
                                                     ? fmt::format("\xff{}", token)
                                                     : std::string(tokenizer_.token_bytes(token));
      backend_->compiler.emplace(
          xgrammar::TokenizerInfo(texts, xgrammar::VocabType::RAW, static_cast<int>(vocab_), ends_),
          vocab_ > kSmallVocabulary ? std::min(available_cores(), 4) : 1, false);
    });
    ignored_part.clear();
    xgrammar::Grammar grammar = parse(source.kind, text);
    if (source.leading_space)
      grammar =
          xgrammar::Grammar::Concat({xgrammar::Grammar::FromEBNF("root ::= [ \\n]{0,2}"), grammar});
    auto compiled =
        std::make_shared<Grammar>(backend_->compiler->CompileGrammar(grammar), mask_words(vocab_));
    if (!ignored_part.empty())
      return fail(ErrorCode::Unsupported, "{}", one_line(std::move(ignored_part)));
    backend_->keep(std::move(key), compiled);
    return compiled;
  } catch (const std::exception& error) {
    return fail(ErrorCode::InvalidArgument, "{}", one_line(error.what()));
  }
}

}  // namespace millrace
