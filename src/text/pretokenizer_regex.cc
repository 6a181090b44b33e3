#include "text/pretokenizer_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>

#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxPatternBytes = 16 << 10;
constexpr std::uint32_t kMaxGroupDepth = 100;
// Steps of one match. English text needs fewer than a hundred; a run of a million spaces, about a
// million.
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 << 10;
// PCRE2's compiled code runs on 32 KiB of the thread's stack, then on one of its own.
constexpr std::size_t kJitStackBytes = 1 << 20;

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Freed<pcre2_jit_stack_free>>;

template <typename T>
T allocated(T pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256];
  const int length = pcre2_get_error_message(code, buffer, sizeof buffer);
  if (length < 0) return fmt::format("PCRE2 error {}", code);
  return {reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(length)};
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

}  // namespace

struct SplitRegex::Compiled {
  Code code;
  std::string field;
};

SplitRegex::SplitRegex(std::unique_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
SplitRegex::SplitRegex(SplitRegex&&) noexcept = default;
SplitRegex& SplitRegex::operator=(SplitRegex&&) noexcept = default;
SplitRegex::~SplitRegex() = default;

Result<SplitRegex> SplitRegex::compile(std::string_view pattern, std::string_view field) {
  if (pattern.size() > kMaxPatternBytes)
    return fail(ErrorCode::TooLarge, "{}: a pattern of {} bytes, the limit is {}", field,
                pattern.size(), kMaxPatternBytes);
  const std::string translated = MILLRACE_TRY(translate_split_pattern(pattern, field));
  CompileContext context(allocated(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), kMaxGroupDepth);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(units(translated), translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                          &offset, context.get()));
  if (!code)
    return fail(ErrorCode::Unsupported, "{}: found a pattern that does not compile: {}", field,
                message_of(error));
  // Without the compiler (hardened kernels forbid it) the same pattern runs interpreted.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return SplitRegex(
      std::make_unique<const Compiled>(Compiled{std::move(code), std::string(field)}));
}

std::string SplitRegex::escape(std::string_view text) {
  constexpr std::string_view kMeta = R"(\.+*?()|[]{}^$)";
  std::string escaped;
  for (const char c : text) {
    if (kMeta.find(c) != std::string_view::npos) escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

Status SplitRegex::for_each_match(
    std::string_view valid, const std::function<void(std::size_t, std::size_t)>& found) const {
  const pcre2_code* code = compiled_->code.get();
  MatchData data(allocated(pcre2_match_data_create_from_pattern(code, nullptr)));
  MatchContext context(allocated(pcre2_match_context_create(nullptr)));
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  JitStack stack;

  // As the library iterates: an empty match directly after a match is not one, look one character
  // further.
  std::size_t from = 0;
  std::size_t last_end = std::string_view::npos;
  while (from <= valid.size()) {
    int result = pcre2_match(code, units(valid), valid.size(), from, PCRE2_NO_UTF_CHECK, data.get(),
                             context.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {
      stack.reset(allocated(pcre2_jit_stack_create(64 << 10, kJitStackBytes, nullptr)));
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      continue;
    }
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0)
      return fail(ErrorCode::TooLarge, "{}: the pattern gave up at byte {} of a text of {}: {}",
                  compiled_->field, from, valid.size(), message_of(result));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = span[0], end = span[1];
    if (begin == end && end == last_end) {
      if (from >= valid.size()) break;
      std::size_t length;
      utf8::code_point_at(valid, from, length);
      from += length;
      continue;
    }
    found(begin, end);
    from = last_end = end;
  }
  return {};
}

}  // namespace millrace
