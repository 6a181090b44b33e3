#include "text/jinja/json_text.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "text/jinja/compare.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(TextBuilder& out, const JsonStyle& style) : out_(out), style_(style) {}

  void write(const Value& value) {
    const Nested nested(out_.heap());
    switch (value.kind()) {
      case Kind::None:
        return out_.add("null");
      case Kind::Bool:
        return out_.add(value.integer() ? "true" : "false");
      case Kind::Int:
        return out_.add(int_text(value.integer()));
      case Kind::Float:
        return out_.add(number(value.floating()));
      case Kind::Str:
        return text(value.text());
      case Kind::List:
      case Kind::Tuple:
        return list(value.items());
      case Kind::Dict:
        return dict(value.dict());
      default:
        if (value.is_undefined()) raise("tojson: {}", value.undefined_reason());
        raise("tojson: a {} has no JSON form", type_name(value));
    }
  }

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_repr(value);
  }

  void unicode_escape(std::string& out, char32_t code) const {
    const auto unit = [&](std::uint32_t value) { out += fmt::format("\\u{:04x}", value); };
    if (code < 0x10000) return unit(code);
    unit(0xD800 + ((static_cast<std::uint32_t>(code) - 0x10000) >> 10));
    unit(0xDC00 + ((static_cast<std::uint32_t>(code) - 0x10000) & 0x3FF));
  }

  void text(std::string_view source) {
    out_.heap().work(source.size());
    std::string escaped;
    escaped.reserve(source.size() + 2);
    escaped.push_back('"');
    for (std::size_t at = 0; at < source.size();) {
      const std::size_t start = at;
      const char32_t code = utf8_next(source, at);
      switch (code) {
        case '"':
          escaped += "\\\"";
          break;
        case '\\':
          escaped += "\\\\";
          break;
        case '\n':
          escaped += "\\n";
          break;
        case '\r':
          escaped += "\\r";
          break;
        case '\t':
          escaped += "\\t";
          break;
        case '\f':
          escaped += "\\f";
          break;
        case '\b':
          escaped += "\\b";
          break;
        default:
          if (code < 0x20 || (style_.ensure_ascii && code > 0x7E))
            unicode_escape(escaped, code);
          else
            escaped.append(source, start, at - start);
      }
    }
    escaped.push_back('"');
    out_.add(escaped);
  }

  void break_line() {
    if (!style_.indent) return;
    out_.add("\n");
    for (int i = 0; i < level_; ++i) out_.add(*style_.indent);
  }

  void list(const std::vector<Value>& items) {
    if (items.empty()) return out_.add("[]");
    out_.add("[");
    ++level_;
    bool first = true;
    for (const Value& item : items) {
      if (!first) out_.add(style_.item_separator);
      first = false;
      break_line();
      write(item);
    }
    --level_;
    break_line();
    out_.add("]");
  }

  void key(const Value& name) {
    if (name.is_str()) return text(name.text());
    if (name.is_none() || name.is_number()) {
      out_.add("\"");
      write(name);
      return out_.add("\"");
    }
    raise("tojson: a {} cannot be a key of an object", type_name(name));
  }

  void dict(const DictObject& object) {
    if (object.size() == 0) return out_.add("{}");
    std::vector<const DictObject::Entry*> entries;
    for (const auto& entry : object.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return less(out_.heap(), a->first, b->first);
      });
    }
    out_.add("{");
    ++level_;
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) out_.add(style_.item_separator);
      first = false;
      break_line();
      key(entry->first);
      out_.add(style_.key_separator);
      write(entry->second);
    }
    --level_;
    break_line();
    out_.add("}");
  }

  TextBuilder& out_;
  const JsonStyle& style_;
  int level_ = 0;
};

Value text_from_json(Heap& heap, const std::string& text) {
  if (!is_utf8(text)) raise("a text that is not valid UTF-8");
  return heap.str(text);
}

}  // namespace

Value from_json(Heap& heap, const Json& json) {
  const Nested nested(heap);
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return Value::integer(static_cast<Integer>(json.get<std::uint64_t>()));
    case Json::value_t::number_float:
      return Value::floating(json.get<double>());
    case Json::value_t::string:
      return text_from_json(heap, json.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(from_json(heap, item));
      return heap.list(std::move(items));
    }
    case Json::value_t::object: {
      auto entries = heap.new_dict();
      for (const auto& [key, value] : json.items())
        entries->set(text_from_json(heap, key), from_json(heap, value));
      return heap.dict(std::move(entries));
    }
    default:
      return Value::none();
  }
}

void add_json(TextBuilder& out, const Value& value, const JsonStyle& style) {
  JsonWriter(out, style).write(value);
}

}  // namespace millrace::jinja
