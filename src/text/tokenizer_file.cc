#include "text/tokenizer_file.h"

#include <algorithm>

#include "base/json.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxValues = 1 << 20;  // outside the vocabulary and the merges
constexpr std::size_t kMaxMerges = 1 << 23;

// Receives the parser's events. Every handler returns whether to go on; after false, error() says
// why not.
class Reader {
 public:
  Reader(TokenizerFile& file, bool take_model) : file_(file), take_model_(take_model) {}

  const std::optional<Error>& error() const { return error_; }

  bool null() { return value(nullptr, "null"); }
  bool boolean(bool b) { return value(b, "true or false"); }
  bool number_integer(Json::number_integer_t n) {
    if (part_ == Part::Vocabulary) return id(n);
    return value(n, "integer");
  }
  bool number_unsigned(Json::number_unsigned_t n) {
    if (part_ == Part::Vocabulary) return id(n);
    return value(n, "integer");
  }
  bool number_float(Json::number_float_t n, const std::string&) { return value(n, "number"); }
  bool binary(Json::binary_t&) { return refuse("found binary data"); }

  bool string(std::string& text) {
    if (part_ == Part::Merges) {
      if (!in_pair_) return merge_line(text);
      if (pair_size_ < 2) (pair_size_ == 0 ? pair_.first : pair_.second) = std::move(text);
      ++pair_size_;
      return true;
    }
    return value(std::move(text), "string");
  }

  bool start_object(std::size_t) {
    if (part_ != Part::Document) return value(nullptr, "object");
    if (take_model_ && at_model_member("vocab")) {
      if (file_.vocabulary) return refuse("model.vocab: found twice");
      file_.vocabulary.emplace();
      part_ = Part::Vocabulary;
      return true;
    }
    return open(Json::object());
  }
  bool end_object() {
    if (part_ == Part::Vocabulary) {
      part_ = Part::Document;
      return true;
    }
    const Json::object_t& members = *open_.back()->get_ptr<Json::object_t*>();
    std::vector<std::string_view> keys;
    for (const auto& [key, member] : members) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) return refuse(fmt::format("found key \"{}\" twice", *twice));
    open_.pop_back();
    return true;
  }
  bool key(std::string& name) {
    key_ = std::move(name);
    return true;
  }

  bool start_array(std::size_t) {
    if (part_ == Part::Merges) {
      if (in_pair_) return refuse("model.merges: found a list in a pair");
      in_pair_ = true;
      pair_size_ = 0;
      return true;
    }
    if (part_ == Part::Vocabulary) return value(nullptr, "array");
    if (take_model_ && at_model_member("merges")) {
      if (file_.merges) return refuse("model.merges: found twice");
      file_.merges.emplace();
      part_ = Part::Merges;
      return true;
    }
    return open(Json::array());
  }
  bool end_array() {
    if (part_ == Part::Merges) {
      if (!in_pair_) {
        part_ = Part::Document;
        return true;
      }
      in_pair_ = false;
      if (pair_size_ != 2)
        return refuse(fmt::format("model.merges[{}]: found a list of {}, expected two strings",
                                  file_.merges->size(), pair_size_));
      return add_merge(std::move(pair_));
    }
    open_.pop_back();
    return true;
  }

  template <typename Exception>
  bool parse_error(std::size_t position, const std::string&, const Exception&) {
    return refuse(fmt::format("not valid JSON at byte {}", position));
  }

 private:
  enum class Part { Document, Vocabulary, Merges };

  bool refuse(std::string message, ErrorCode code = ErrorCode::Corrupt) {
    error_ = Error{code, std::move(message)};
    return false;
  }

  // Whether the value that begins is `name` of the root's "model".
  bool at_model_member(std::string_view name) const {
    return open_.size() == 2 && in_model_ && key_ == name;
  }

  bool id(auto number) {
    if (file_.vocabulary->size() >= static_cast<std::size_t>(kMaxTokens))
      return refuse(fmt::format("model.vocab: more than {} tokens", kMaxTokens),
                    ErrorCode::TooLarge);
    if (std::cmp_less(number, 0) || std::cmp_greater_equal(number, kMaxTokens))
      return refuse(fmt::format("model.vocab: found id {} for \"{}\", expected 0 to {}", number,
                                key_, kMaxTokens - 1));
    file_.vocabulary->emplace_back(std::move(key_), static_cast<TokenId>(number));
    return true;
  }

  bool merge_line(std::string& line) {
    if (line.starts_with("#version")) return true;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      return refuse(fmt::format("model.merges[{}]: found \"{}\", expected two words and a space",
                                file_.merges->size(), line));
    return add_merge({line.substr(0, space), line.substr(space + 1)});
  }

  bool add_merge(Merge merge) {
    if (file_.merges->size() >= kMaxMerges)
      return refuse(fmt::format("model.merges: more than {}", kMaxMerges), ErrorCode::TooLarge);
    file_.merges->push_back(std::move(merge));
    return true;
  }

  bool value(Json json, std::string_view what) {
    if (part_ == Part::Vocabulary)
      return refuse(fmt::format("model.vocab: found {} for \"{}\", expected an id", what, key_));
    if (part_ == Part::Merges)
      return refuse(fmt::format("model.merges[{}]: found {}, expected a pair of strings",
                                file_.merges->size(), what));
    return place(std::move(json)) != nullptr;
  }

  bool open(Json container) {
    if (open_.size() >= kMaxDepth)
      return refuse(fmt::format("nested deeper than {} levels", kMaxDepth), ErrorCode::TooLarge);
    const bool model = open_.size() == 1 && open_[0]->is_object() && key_ == "model";
    Json* placed = place(std::move(container));
    if (!placed) return false;
    if (open_.size() == 1) in_model_ = model;
    open_.push_back(placed);
    return true;
  }

  // Puts a value where it belongs. The pointer is good while nothing is put beside it.
  Json* place(Json json) {
    if (++values_ > kMaxValues) {
      refuse(fmt::format("more than {} values", kMaxValues), ErrorCode::TooLarge);
      return nullptr;
    }
    if (open_.empty()) {
      file_.document = std::move(json);
      return &file_.document;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(json));
      return &parent.back();
    }
    // Not through operator[], which looks at every key there is: end_object finds double ones.
    auto& members = *parent.get_ptr<Json::object_t*>();
    members.emplace_back(std::move(key_), std::move(json));
    return &members.back().second;
  }

  TokenizerFile& file_;
  bool take_model_;
  Part part_ = Part::Document;
  std::vector<Json*> open_;
  bool in_model_ = false;  // the member of the root that is open is "model"
  std::string key_;
  std::size_t values_ = 0;
  bool in_pair_ = false;
  std::size_t pair_size_ = 0;
  Merge pair_;
  std::optional<Error> error_;
};

}  // namespace

Result<TokenizerFile> parse_tokenizer_file(std::string_view text, std::string_view origin,
                                           bool take_model) {
  TokenizerFile file;
  Reader reader(file, take_model);
  const bool parsed = Json::sax_parse(text.begin(), text.end(), &reader);
  if (reader.error()) return fail_in(origin, *reader.error());
  if (!parsed) return fail(ErrorCode::Corrupt, "{}: not valid JSON", origin);
  return file;
}

}  // namespace millrace
