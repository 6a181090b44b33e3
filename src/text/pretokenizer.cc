#include "text/pretokenizer.h"

#include <algorithm>

#include "base/json.h"
#include "text/pretokenizer_scan.h"
#include "text/tokenizer_unicode.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxSteps = 16;

using PieceEnd = std::size_t (*)(std::string_view, std::size_t);
using Word = std::function<void(std::string_view)>;

void scan_words(std::string_view text, PieceEnd piece_end, const Word& word) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = piece_end(text, begin);
    word(text.substr(begin, end - begin));
    begin = end;
  }
}

Result<bool> required_bool(const Json& description, std::string_view key) {
  const std::optional<bool> value = MILLRACE_TRY(json_bool(description, key));
  if (!value) return fail(ErrorCode::Corrupt, "{}: found nothing, expected true or false", key);
  return *value;
}

Result<SplitBehavior> behavior_of(const Json& description) {
  constexpr std::pair<std::string_view, SplitBehavior> kNames[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  const std::string name = MILLRACE_TRY(json_string(description, "behavior")).value_or("nothing");
  for (const auto& [known, behavior] : kNames)
    if (name == known) return behavior;
  return fail(ErrorCode::Unsupported,
              "behavior: found {}, expected Removed, Isolated, MergedWithPrevious, "
              "MergedWithNext or Contiguous",
              name);
}

Result<std::string> type_of(const Json& description) {
  if (!description.is_object())
    return fail(ErrorCode::Corrupt, "found {}, expected an object with a type",
                json_type_name(description));
  return MILLRACE_TRY(json_string(description, "type")).value_or("nothing");
}

}  // namespace

bool Pretokenizer::Step::keeps_every_piece() const {
  if (kind != Kind::Llama3 && kind != Kind::Gpt2) return false;
  return behavior == SplitBehavior::Isolated || (behavior == SplitBehavior::Removed && invert);
}

Pretokenizer Pretokenizer::llama3() {
  Pretokenizer made;
  made.steps_.push_back(Step{Kind::Llama3, SplitBehavior::Isolated, false, std::nullopt});
  return made;
}

Pretokenizer Pretokenizer::gpt2() {
  Pretokenizer made;
  made.gpt2_split_ = true;
  return made;
}

std::optional<std::string_view> Pretokenizer::gguf_name() const {
  if (add_prefix_space_) return std::nullopt;
  if (steps_.empty() && gpt2_split_) return "gpt-2";
  if (steps_.size() != 1 || gpt2_split_ || !steps_[0].keeps_every_piece()) return std::nullopt;
  return steps_[0].kind == Kind::Llama3 ? "lfm2" : "gpt-2";
}

Result<Pretokenizer::Step> Pretokenizer::split_step(const Json& description,
                                                    std::string_view field) {
  Step step{.kind = Kind::Regex,
            .behavior = MILLRACE_TRY(behavior_of(description)),
            .invert = MILLRACE_TRY(required_bool(description, "invert")),
            .regex = std::nullopt};
  const Json* pattern = json_find(description, "pattern");
  if (!pattern || !pattern->is_object())
    return fail(ErrorCode::Corrupt, "pattern: found {}, expected {{\"Regex\": ...}}",
                pattern ? json_type_name(*pattern) : "nothing");
  const auto literal = MILLRACE_TRY(json_string(*pattern, "String"));
  const auto regex = MILLRACE_TRY(json_string(*pattern, "Regex"));
  if (literal.has_value() == regex.has_value())
    return fail(ErrorCode::Unsupported, "pattern: expected one of Regex and String");
  const std::string source = regex ? *regex : SplitRegex::escape(*literal);
  if (source == kLlama3Pattern)
    step.kind = Kind::Llama3;
  else if (source == kGpt2Pattern)
    step.kind = Kind::Gpt2;
  else
    step.regex.emplace(MILLRACE_TRY(SplitRegex::compile(source, fmt::format("{}.pattern", field))));
  return step;
}

Status Pretokenizer::add_step(const Json& description, std::string_view field) {
  const std::string type = MILLRACE_TRY(type_of(description));
  if (type == "Split") {
    steps_.push_back(MILLRACE_TRY(split_step(description, field)));
  } else if (type == "Digits") {
    const bool individual = MILLRACE_TRY(required_bool(description, "individual_digits"));
    steps_.push_back(Step{Kind::Digits,
                          individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous, false,
                          std::nullopt});
  } else {
    return fail(ErrorCode::Unsupported, "type: found {}, expected Split or Digits before ByteLevel",
                type);
  }
  return {};
}

Result<Pretokenizer> Pretokenizer::from_json(const Json& description) {
  constexpr std::string_view kField = "pre_tokenizer";
  const auto type = type_of(description);
  if (!type) return fail_in(kField, type.error());
  std::vector<const Json*> parts;
  if (*type == "Sequence") {
    const Json* list = json_find(description, "pretokenizers");
    if (!list || !list->is_array() || list->empty() || list->size() > kMaxSteps)
      return fail(ErrorCode::Corrupt, "{}.pretokenizers: expected a list of 1 to {} steps", kField,
                  kMaxSteps);
    for (const Json& part : *list) parts.push_back(&part);
  } else {
    parts.push_back(&description);
  }
  Pretokenizer made;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string field =
        *type == "Sequence" ? fmt::format("{}.pretokenizers[{}]", kField, i) : std::string(kField);
    const auto part_type = type_of(*parts[i]);
    if (!part_type) return fail_in(field, part_type.error());
    if (i + 1 < parts.size()) {
      const Status added = made.add_step(*parts[i], field);
      if (!added) return fail_in(field, added.error());
      continue;
    }
    if (*part_type != "ByteLevel")
      return fail(ErrorCode::Unsupported, "{}.type: found {}, expected ByteLevel as the last step",
                  field, *part_type);
    const auto prefix = required_bool(*parts[i], "add_prefix_space");
    if (!prefix) return fail_in(field, prefix.error());
    const auto use_regex = json_bool(*parts[i], "use_regex");
    if (!use_regex) return fail_in(field, use_regex.error());
    made.add_prefix_space_ = *prefix;
    made.gpt2_split_ = use_regex->value_or(true);
  }
  return made;
}

Result<std::vector<Pretokenizer::Part>> Pretokenizer::parts(const Step& step,
                                                            std::string_view text) {
  std::vector<Part> parts;
  std::size_t done = 0;
  const auto add_match = [&](std::size_t begin, std::size_t end) {
    if (done < begin) parts.push_back({done, begin, false});
    parts.push_back({begin, end, true});
    done = end;
  };
  switch (step.kind) {
    case Kind::Llama3:
    case Kind::Gpt2: {
      const PieceEnd piece_end = step.kind == Kind::Llama3 ? llama3_piece_end : gpt2_piece_end;
      while (done < text.size()) add_match(done, piece_end(text, done));
      break;
    }
    case Kind::Regex:
      MILLRACE_TRY(step.regex->for_each_match(text, add_match));
      break;
    case Kind::Digits:
      for (std::size_t at = 0, length; at < text.size(); at += length)
        if (unicode::char_class(utf8::code_point_at(text, at, length)) ==
            unicode::CharClass::Number)
          add_match(at, at + length);
      break;
  }
  if (done < text.size()) parts.push_back({done, text.size(), false});
  return parts;
}

// Drops or joins parts by the step's behaviour; what is left are the pieces.
void Pretokenizer::regroup(const Step& step, std::vector<Part>& parts) {
  if (step.invert)
    for (Part& part : parts) part.match = !part.match;
  std::vector<Part> kept;
  // Joins a part to its neighbour in the direction of travel where `joins` says so.
  const auto fold = [&](auto begin, auto end, auto joins, auto join) {
    bool previous = false;
    for (auto part = begin; part != end; ++part) {
      if (joins(part->match, previous) && !kept.empty())
        join(kept.back(), *part);
      else
        kept.push_back(*part);
      previous = part->match;
    }
  };
  const auto extend_end = [](Part& into, const Part& part) { into.end = part.end; };
  const auto extend_begin = [](Part& into, const Part& part) { into.begin = part.begin; };
  const auto lone_match = [](bool match, bool previous) { return match && !previous; };
  switch (step.behavior) {
    case SplitBehavior::Isolated:
      return;
    case SplitBehavior::Removed:
      std::erase_if(parts, [](const Part& part) { return part.match; });
      return;
    case SplitBehavior::Contiguous:
      fold(
          parts.begin(), parts.end(), [](bool match, bool previous) { return match == previous; },
          extend_end);
      break;
    case SplitBehavior::MergedWithPrevious:
      fold(parts.begin(), parts.end(), lone_match, extend_end);
      break;
    case SplitBehavior::MergedWithNext:
      fold(parts.rbegin(), parts.rend(), lone_match, extend_begin);
      std::reverse(kept.begin(), kept.end());
      break;
  }
  parts = std::move(kept);
}

void Pretokenizer::byte_level(std::string_view piece, const Word& word) const {
  std::string prefixed;
  if (add_prefix_space_ && !piece.starts_with(' ')) {
    prefixed.reserve(piece.size() + 1);
    prefixed.push_back(' ');
    prefixed.append(piece);
    piece = prefixed;
  }
  if (gpt2_split_)
    scan_words(piece, gpt2_piece_end, word);
  else
    word(piece);
}

Status Pretokenizer::for_each_word(std::string_view valid, const Word& word) const {
  // The common files need no list of pieces.
  if (steps_.size() == 1 && steps_[0].keeps_every_piece() && !add_prefix_space_ && !gpt2_split_) {
    scan_words(valid, steps_[0].kind == Kind::Llama3 ? llama3_piece_end : gpt2_piece_end, word);
    return {};
  }
  std::vector<std::string_view> pieces;
  if (!valid.empty()) pieces.push_back(valid);
  for (const Step& step : steps_) {
    std::vector<std::string_view> next;
    for (const std::string_view piece : pieces) {
      std::vector<Part> found = MILLRACE_TRY(parts(step, piece));
      regroup(step, found);
      for (const Part& part : found)
        if (part.begin < part.end) next.push_back(piece.substr(part.begin, part.end - part.begin));
    }
    pieces = std::move(next);
  }
  for (const std::string_view piece : pieces) byte_level(piece, word);
  return {};
}

}  // namespace millrace
