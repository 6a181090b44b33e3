#include "text/jinja/repr.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/jinja/runtime.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

void add_items(TextBuilder& out, const std::vector<Value>& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out.add(", ");
    first = false;
    add_repr(out, item);
  }
}

void add_entries(TextBuilder& out, const std::vector<DictObject::Entry>& entries) {
  out.add("{");
  bool first = true;
  for (const auto& [key, value] : entries) {
    if (!first) out.add(", ");
    first = false;
    add_repr(out, key);
    out.add(": ");
    add_repr(out, value);
  }
  out.add("}");
}

void add_range(TextBuilder& out, const SeqObject& range) {
  out.add("range(" + int_text(range.start) + ", " + int_text(range.stop));
  if (range.step != 1) out.add(", " + int_text(range.step));
  out.add(")");
}

void add_namespace(TextBuilder& out, const NamespaceObject& object) {
  out.add("<Namespace {");
  bool first = true;
  for (const auto& [name, value] : object.attributes) {
    if (!first) out.add(", ");
    first = false;
    out.add(quoted(name));
    out.add(": ");
    add_repr(out, value);
  }
  out.add("}>");
}

}  // namespace

std::string int_text(Integer value, int base) {
  std::array<char, 130> digits;
  std::size_t at = digits.size();
  UnsignedInteger rest =
      value < 0 ? -static_cast<UnsignedInteger>(value) : static_cast<UnsignedInteger>(value);
  do {
    digits[--at] = "0123456789abcdef"[static_cast<unsigned>(rest % static_cast<unsigned>(base))];
    rest /= static_cast<unsigned>(base);
  } while (rest != 0);
  if (value < 0) digits[--at] = '-';
  return std::string(digits.begin() + static_cast<std::ptrdiff_t>(at), digits.end());
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer = {};  // atoi below needs a zero at the end
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  const std::string_view shortest(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  // "-d.ddde[+-]xx": Python writes it without an exponent from 1e-4 up to, not including, 1e16.
  const std::size_t e = shortest.find('e');
  const int exponent = std::atoi(buffer.data() + e + 1);
  std::string sign;
  std::string digits;
  for (const char c : shortest.substr(0, e)) {
    if (c == '-') sign = "-";
    if (c >= '0' && c <= '9') digits.push_back(c);
  }
  if (exponent < -4 || exponent >= 16) {
    std::string text = sign + digits[0];
    if (digits.size() > 1) text += "." + digits.substr(1);
    return text + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string quoted(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  out.reserve(text.size() + 2);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = utf8_next(text, at);
    if (code == '\\' || code == static_cast<char32_t>(quote)) {
      out += {'\\', static_cast<char>(code)};
    } else if (code == '\n') {
      out += "\\n";
    } else if (code == '\r') {
      out += "\\r";
    } else if (code == '\t') {
      out += "\\t";
    } else if (is_printable(code)) {
      out.append(text, start, at - start);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(code));
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(code));
    }
  }
  out.push_back(quote);
  return out;
}

void add_repr(TextBuilder& out, const Value& value) {
  const Nested nested(out.heap());
  switch (value.kind()) {
    case Kind::Undefined:
      return out.add("Undefined");
    case Kind::None:
      return out.add("None");
    case Kind::Bool:
      return out.add(value.integer() ? "True" : "False");
    case Kind::Int:
      return out.add(int_text(value.integer()));
    case Kind::Float:
      return out.add(float_repr(value.floating()));
    case Kind::Str:
      out.heap().work(value.text().size());
      return out.add(quoted(value.text()));
    case Kind::List:
      out.add("[");
      add_items(out, value.items());
      return out.add("]");
    case Kind::Tuple:
      out.add("(");
      add_items(out, value.items());
      return out.add(value.items().size() == 1 ? ",)" : ")");
    case Kind::Dict:
      return add_entries(out, value.dict().entries());
    case Kind::View:
      out.add(type_name(value));
      out.add("([");
      add_items(out, value.items());
      return out.add("])");
    case Kind::Range:
      return add_range(out, *static_cast<const SeqObject*>(value.object()));
    case Kind::Namespace:
      return add_namespace(out, namespace_of(value));
    case Kind::Macro:
      return out.add("<Macro " + quoted(macro_name(value)) + ">");
    default:
      // Python would show an address here.
      out.add("<");
      out.add(type_name(value));
      return out.add(" object>");
  }
}

void add_str(TextBuilder& out, const Value& value) {
  if (value.is_undefined()) return;
  if (!value.is_str()) return add_repr(out, value);
  out.heap().work(value.text().size());
  out.add(value.text());
}

Value to_str(Heap& heap, const Value& value) {
  if (value.is_str()) return value;
  TextBuilder out(heap);
  add_str(out, value);
  return out.value();
}

}  // namespace millrace::jinja
