#include "text/jinja/format.h"

#include <charconv>
#include <optional>

#include "text/jinja/access.h"
#include "text/jinja/number_format.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace millrace::jinja {
namespace {

constexpr std::size_t kMaxWidth = 1u << 30;

// The digits at `at`, which moves behind them; nothing when there are none.
std::optional<std::size_t> number_at(std::string_view text, std::size_t& at) {
  std::size_t number = 0;
  const std::size_t first = at;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + static_cast<std::size_t>(text[at++] - '0');
    if (number > kMaxWidth) raise_too_large("a field width over {}", kMaxWidth);
  }
  if (at == first) return std::nullopt;
  return number;
}

std::string repr_text(Heap& heap, const Value& value) {
  TextBuilder out(heap);
  add_repr(out, value);
  return out.text();
}

// Python takes anything with a subscript for a mapping, whose entries need not all be used.
bool has_subscript(const Value& value) {
  return value.is_dict() || value.is_sequence() || value.is_undefined();
}

class PercentFormat {
 public:
  PercentFormat(Heap& heap, std::string_view format, const Value& operands)
      : out_(heap), format_(format), operands_(operands) {}

  Value run() {
    while (at_ < format_.size()) {
      const std::size_t sign = std::min(format_.find('%', at_), format_.size());
      out_.add(format_.substr(at_, sign - at_));
      at_ = sign;
      if (at_ < format_.size()) field();
    }
    if (operands_.is(Kind::Tuple) ? next_ < operands_.items().size()
                                  : next_ == 0 && !has_subscript(operands_))
      raise("%: not all arguments are used by the format");
    return out_.value();
  }

 private:
  char peek() const {
    if (at_ >= format_.size()) raise("%: incomplete format");
    return format_[at_];
  }

  Value operand() {
    if (named_) return *named_;
    if (operands_.is(Kind::Tuple)) {
      if (next_ >= operands_.items().size()) raise("%: not enough arguments for the format");
      return operands_.items()[next_++];
    }
    if (next_++ > 0) raise("%: not enough arguments for the format");
    return operands_;
  }

  void name() {
    named_.reset();
    if (peek() != '(') return;
    const std::size_t end = format_.find(')', at_);
    if (end == std::string_view::npos) raise("%: incomplete name in the format");
    const std::string_view key = format_.substr(at_ + 1, end - at_ - 1);
    if (!operands_.is_dict()) raise("%: a format with names needs a dict");
    const Value* value = operands_.dict().find(key);
    if (!value) raise("%: the dict has no key {}", quoted(key));
    named_ = *value;
    next_ = 1;
    at_ = end + 1;
  }

  std::size_t size_field() {
    if (peek() != '*') return number_at(format_, at_).value_or(0);
    ++at_;
    const Value value = operand();
    if (!value.is_integral() || value.integer() < 0 ||
        value.integer() > static_cast<Integer>(kMaxWidth))
      raise("%: * needs a number from 0 on");
    return static_cast<std::size_t>(value.integer());
  }

  void field() {
    ++at_;
    name();
    FormatSpec spec;
    bool left = false;
    bool zero = false;
    for (bool more = true; more;) {
      switch (peek()) {
        case '-':
          left = true;
          break;
        case '0':
          zero = true;
          break;
        case '+':
          spec.sign = '+';
          break;
        case ' ':
          if (spec.sign == '-') spec.sign = ' ';
          break;
        case '#':
          spec.alternate = true;
          break;
        default:
          more = false;
      }
      if (more) ++at_;
    }
    spec.width = size_field();
    if (peek() == '.') {
      ++at_;
      spec.precision = static_cast<int>(size_field());
    }
    while (peek() == 'h' || peek() == 'l' || peek() == 'L') ++at_;
    const char type = format_[at_++];
    if (type == '%') return out_.add("%");
    convert(type, spec, left, zero);
  }

  void convert(char type, FormatSpec& spec, bool left, bool zero) {
    const Value value = operand();
    spec.align = left ? '<' : '>';
    switch (type) {
      case 's':
      case 'r':
      case 'a': {
        TextBuilder text(out_.heap());
        if (type == 's')
          add_str(text, value);
        else
          add_repr(text, value);
        return add_text(out_, text.text(), spec);
      }
      case 'c':
        if (value.is_str()) return add_text(out_, value.text(), spec);
        break;
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        break;
      default:
        raise("%: unsupported format character '{}'", type);
    }
    if (!value.is_number())
      raise("%{} needs a number, found {}", type,
            value.is_undefined() ? std::string(value.undefined_reason())
                                 : "a " + std::string(type_name(value)));
    if (zero && !left) {
      spec.fill = "0";
      spec.align = '=';
    }
    const bool wants_integer = type == 'd' || type == 'i' || type == 'u';
    spec.type = wants_integer ? 'd' : type;
    if (wants_integer) {
      const Value whole =
          Value::integer(value.is_integral() ? value.integer() : to_integer(value.floating()));
      return add_number(out_, whole, spec);
    }
    add_number(out_, value, spec);
  }

  TextBuilder out_;
  std::string_view format_;
  const Value& operands_;
  std::optional<Value> named_;
  std::size_t at_ = 0;
  std::size_t next_ = 0;
};

FormatSpec parse_spec(std::string_view text) {
  FormatSpec spec;
  std::size_t at = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  std::size_t after_fill = 0;
  if (!text.empty()) utf8_next(text, after_fill);
  if (after_fill > 0 && after_fill < text.size() && is_align(text[after_fill])) {
    spec.fill = text.substr(0, after_fill);
    spec.align = text[after_fill];
    at = after_fill + 1;
  } else if (!text.empty() && is_align(text[0])) {
    spec.align = text[at++];
  }
  const auto take = [&](std::string_view any) {
    return at < text.size() && any.find(text[at]) != std::string_view::npos ? text[at++] : '\0';
  };
  if (const char sign = take("+- ")) spec.sign = sign;
  spec.alternate = take("#") != 0;
  if (take("0") && spec.align == 0) {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = number_at(text, at).value_or(0);
  spec.grouping = take(",_");
  if (take(".")) {
    const auto precision = number_at(text, at);
    if (!precision) raise("format: a precision is missing behind the point");
    spec.precision = static_cast<int>(*precision);
  }
  if (at < text.size()) spec.type = text[at++];
  if (at != text.size()) raise("format: invalid format '{}'", text);
  return spec;
}

class BraceFormat {
 public:
  BraceFormat(Heap& heap, const Arguments& arguments) : heap_(heap), arguments_(arguments) {}

  Value run(std::string_view format) {
    TextBuilder out(heap_);
    expand(out, format, 2);
    return out.value();
  }

 private:
  // Specs may hold fields themselves, one level deep: "{:>{width}}".
  void expand(TextBuilder& out, std::string_view format, int levels) {
    if (levels == 0) raise("format: fields are nested too deep");
    for (std::size_t at = 0; at < format.size();) {
      const std::size_t mark = std::min(format.find_first_of("{}", at), format.size());
      out.add(format.substr(at, mark - at));
      at = mark;
      if (at == format.size()) break;
      if (at + 1 < format.size() && format[at + 1] == format[at]) {
        out.add(1, format[at]);
        at += 2;
        continue;
      }
      if (format[at] == '}') raise("format: a single '}}' in the format");
      const std::size_t end = closing(format, at);
      field(out, format.substr(at + 1, end - at - 1), levels);
      at = end + 1;
    }
  }

  static std::size_t closing(std::string_view format, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < format.size(); ++at) {
      if (format[at] == '{') ++depth;
      if (format[at] == '}' && --depth == 0) return at;
    }
    raise("format: a '{{' is not closed");
  }

  void field(TextBuilder& out, std::string_view text, int levels) {
    const std::size_t end = std::min(text.find_first_of("!:"), text.size());
    Value value = lookup(text.substr(0, end));
    std::string_view rest = text.substr(end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':'))
        raise("format: expected ':' behind the conversion");
      if (rest[1] == 'r')
        value = heap_.str(repr_text(heap_, value));
      else if (rest[1] == 's')
        value = to_str(heap_, value);
      else
        raise("format: unknown conversion '!{}'", rest[1]);
      rest.remove_prefix(2);
    }
    TextBuilder spec_text(heap_);
    if (rest.starts_with(':')) expand(spec_text, rest.substr(1), levels - 1);
    const FormatSpec spec = parse_spec(spec_text.text());
    if (value.is_number() && !(value.is(Kind::Bool) && spec_text.size() == 0))
      return add_number(out, value, spec);
    if (value.is_str()) return add_text(out, value.text(), spec);
    if (spec_text.size() != 0) raise("format: a {} takes no format", type_name(value));
    add_str(out, value);
  }

  Value lookup(std::string_view path) {
    std::size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, end));
    while (end < path.size()) {
      if (path[end] == '.') {
        const std::size_t next = std::min(path.find_first_of(".[", end + 1), path.size());
        value = attribute_of(heap_, value, path.substr(end + 1, next - end - 1));
        end = next;
        continue;
      }
      const std::size_t close = path.find(']', end);
      if (path[end] != '[' || close == std::string_view::npos) raise("format: a '[' is not closed");
      const std::string_view key = path.substr(end + 1, close - end - 1);
      std::size_t at = 0;
      const auto index = number_at(key, at);
      value =
          item_of(heap_, value,
                  index && at == key.size() ? Value::size(*index) : heap_.str(std::string(key)));
      end = close + 1;
    }
    return value;
  }

  Value argument(std::string_view name) {
    std::size_t at = 0;
    std::optional<std::size_t> index = name.empty() ? next_++ : number_at(name, at);
    if (name.empty() || (index && at == name.size())) {
      if (*index >= arguments_.positional.size()) raise("format: argument {} is missing", *index);
      return arguments_.positional[*index];
    }
    for (const auto& [known, value] : arguments_.named)
      if (known == name) return value;
    raise("format: argument '{}' is missing", name);
  }

  Heap& heap_;
  const Arguments& arguments_;
  std::size_t next_ = 0;
};

}  // namespace

Value percent_format(Heap& heap, std::string_view format, const Value& operands) {
  return PercentFormat(heap, format, operands).run();
}

Value brace_format(Heap& heap, std::string_view format, const Arguments& arguments) {
  return BraceFormat(heap, arguments).run(format);
}

}  // namespace millrace::jinja
