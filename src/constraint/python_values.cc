#include "constraint/python_values.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "constraint/grammar_text.h"
#include "constraint/schema_check.h"

namespace millrace {
namespace {

constexpr std::size_t kMostInAnyOrder = 4;
constexpr std::size_t kMostRuleBytes = 1u << 20;
constexpr std::int64_t kMostCount = 4096;

struct Common {
  std::string_view name;
  std::string_view body;
  std::vector<std::string_view> uses = {};
};

// Surrogates, which no text may hold alone, are left out of \u.
const std::vector<Common>& common_rules() {
  static const std::vector<Common> kRules = {
      {"space", R"(" "?)"},
      {"escape",
       R"("\\" ([\\"'ntrbf] | "x" [0-9a-fA-F]{2} | "u" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2})))"},
      {"double", R"([^"\\\x00-\x1f\x7f] | escape)", {"escape"}},
      {"single", R"([^'\\\x00-\x1f\x7f] | escape)", {"escape"}},
      // A string's rest is one rule that goes on by itself to its end: what a token may be is known
      // beforehand as far as one rule reaches, and looked for in the whole vocabulary beyond it.
      {"rest", R"("\"" | [^"\\\x00-\x1f\x7f] rest | escape rest)", {"escape"}},
      {"single_rest", R"("'" | [^'\\\x00-\x1f\x7f] single_rest | escape single_rest)", {"escape"}},
      {"text", R"("\"" rest | "'" single_rest)", {"rest", "single_rest"}},
      {"integer", R"("-"? ("0" | [1-9] [0-9]{0,17}))"},
      {"number", R"(integer ("." [0-9]{1,17})? ([eE] [+\-]? [0-9]{1,2})?)", {"integer"}},
      {"boolean", R"("True" | "False")"},
      {"null", R"("None")"},
      {"any",
       "text | number | boolean | null | anylist | anydict",
       {"text", "number", "boolean", "null", "anylist", "anydict"}},
      {"anylist", R"("[" (any ("," space any)*)? "]")", {"any", "space"}},
      {"anydict", R"("{" (anypair ("," space anypair)*)? "}")", {"anypair", "space"}},
      {"anypair", R"(text ":" space any)", {"text", "any", "space"}},
  };
  return kRules;
}

// Of values of these formats; as regular expressions for the inside of a string.
std::string_view format_pattern(std::string_view format) {
  if (format == "date") return "\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])";
  if (format == "time")
    return "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]\\d{2}:\\d{2})?";
  if (format == "date-time")
    return "\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d"
           "(\\.\\d{1,6})?(Z|[+-]\\d{2}:\\d{2})";
  if (format == "uuid")
    return "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
  if (format == "ipv4")
    return "((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  if (format == "email") return "[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63})+";
  return "";
}

// The bounds of a whole number or a count; nothing where the keyword is absent.
Result<std::optional<std::int64_t>> bound(const Json& schema, const char* keyword,
                                          const std::string& where) {
  const auto at = schema.find(keyword);
  if (at == schema.end()) return std::nullopt;
  if (!at->is_number() || !(std::abs(at->get<double>()) < 9e15) ||
      std::floor(at->get<double>()) != at->get<double>())
    return fail(ErrorCode::Unsupported, "{}.{}: expected a whole number below 9e15", where,
                keyword);
  return static_cast<std::int64_t>(at->get<double>());
}

std::string digits(std::size_t count) {
  return count == 0 ? "" : fmt::format(" [0-9]{{{}}}", count);
}

// Numbers of as many digits, from low to high.
std::string same_length(std::string_view low, std::string_view high) {
  if (low.empty()) return "";
  if (low.size() == 1) return fmt::format("[{}-{}]", low, high);
  const std::string nines(low.size() - 1, '9');
  const std::string zeros(low.size() - 1, '0');
  if (low[0] == high[0])
    return fmt::format("\"{}\" ({})", low[0], same_length(low.substr(1), high.substr(1)));
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() ? "" : " | ") + part; };
  char first = low[0];
  char last = high[0];
  if (low.substr(1) != zeros)
    add(fmt::format("\"{}\" ({})", first++, same_length(low.substr(1), nines)));
  std::string end;
  if (high.substr(1) != nines)
    end = fmt::format("\"{}\" ({})", last--, same_length(zeros, high.substr(1)));
  if (first <= last) add(fmt::format("[{}-{}]{}", first, last, digits(low.size() - 1)));
  if (!end.empty()) add(end);
  return out;
}

std::string natural_range(std::int64_t low, std::int64_t high) {
  std::string out;
  while (true) {
    const std::string from = std::to_string(low);
    const std::string most(from.size(), '9');
    const std::string to = std::to_string(high);
    out += same_length(from, to.size() == from.size() ? to : most);
    if (to.size() == from.size()) return out;
    out += " | ";
    low = std::stoll(most) + 1;
  }
}

}  // namespace

std::string integer_range(std::int64_t low, std::int64_t high) {
  std::string out;
  if (low < 0) out = fmt::format("\"-\" ({})", natural_range(high < 0 ? -high : 1, -low));
  if (high >= 0)
    out += (low < 0 ? " | " : "") + natural_range(std::max<std::int64_t>(low, 0), high);
  return out;
}

std::string PythonValues::add(const std::string& body) {
  std::string name = fmt::format("r{}", next_++);
  rules_ += fmt::format("{} ::= {}\n", name, body);
  return name;
}

std::string PythonValues::common(std::string_view name) {
  if (common_.emplace(name, name).second)
    for (const Common& rule : common_rules())
      if (rule.name == name) {
        rules_ += fmt::format("{} ::= {}\n", rule.name, rule.body);
        for (const std::string_view used : rule.uses) common(used);
      }
  return std::string(name);
}

std::string PythonValues::members(const std::vector<Member>& all, const std::string& more) {
  if (all.size() > kMostInAnyOrder) return members_in_order(all, more);
  const std::string space = common("space");
  // A rule for each set of members that have come; the last set first, so that each knows those
  // that follow it.
  const std::size_t sets = std::size_t{1} << all.size();
  std::vector<std::string> rules(sets);
  for (std::size_t set = sets; set-- > 0;) {
    std::string body;
    bool may_end = true;
    const std::string comma = set == 0 ? "" : fmt::format("\",\" {} ", space);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (set >> i & 1) continue;
      may_end = may_end && !all[i].required;
      body += fmt::format("{}{}{} {} {}", body.empty() ? "" : " | ", comma, all[i].head,
                          all[i].value, rules[set | std::size_t{1} << i]);
    }
    if (may_end && !more.empty())
      body += fmt::format("{}({}{} (\",\" {} {})*)?", body.empty() ? "" : " | ", comma, more, space,
                          more);
    else if (may_end)
      body += body.empty() ? "\"\"" : " | \"\"";
    rules[set] = add(body);
  }
  return rules[0];
}

std::string PythonValues::members_in_order(const std::vector<Member>& all,
                                           const std::string& more) {
  const std::string space = common("space");
  // Behind each member: what may follow it, and what may come there if nothing has yet.
  std::string next = more.empty() ? add("\"\"") : add(fmt::format("(\",\" {} {})*", space, more));
  std::string first =
      more.empty() ? next : add(fmt::format("({} (\",\" {} {})*)?", more, space, more));
  for (std::size_t i = all.size(); i-- > 0;) {
    const Member& m = all[i];
    const std::string member = fmt::format("{} {} {}", m.head, m.value, next);
    const std::string behind = fmt::format("\",\" {} {}", space, member);
    first = add(m.required ? member : fmt::format("{} | {}", member, first));
    next = add(m.required ? behind : fmt::format("{} | {}", behind, next));
  }
  return first;
}

std::string PythonValues::literal(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "\"None\"";
    case Json::value_t::boolean:
      return value.get<bool>() ? "\"True\"" : "\"False\"";
    case Json::value_t::string: {
      // In either quotes, with what they need escaped.
      const auto quoted = [&](char quote) {
        std::string text(1, quote);
        for (const char c : value.get_ref<const std::string&>()) {
          const auto byte = static_cast<unsigned char>(c);
          if (c == quote || c == '\\')
            (text += '\\') += c;
          else if (c == '\n')
            text += "\\n";
          else if (byte < 0x20 || byte == 0x7f)
            text += fmt::format("\\x{:02x}", byte);
          else
            text += c;
        }
        return grammar_literal(text += quote);
      };
      return fmt::format("({} | {})", quoted('"'), quoted('\''));
    }
    case Json::value_t::array:
    case Json::value_t::object: {
      const bool is_list = value.is_array();
      std::string out = is_list ? "\"[\"" : "\"{\"";
      bool first = true;
      for (const auto& [key, element] : value.items()) {
        if (!std::exchange(first, false)) out += fmt::format(" \",\" {}", common("space"));
        if (!is_list) out += fmt::format(" {} \":\" {}", literal(Json(key)), common("space"));
        out += " " + literal(element);
      }
      return fmt::format("({} {})", out, is_list ? "\"]\"" : "\"}\"");
    }
    default:
      return grammar_literal(value.dump());
  }
}

Status PythonValues::leave_out(const Json& schema, std::initializer_list<const char*> keywords,
                               const std::string& where) const {
  if (!strict_) return {};
  for (const char* keyword : keywords)
    if (schema.contains(keyword))
      return fail(ErrorCode::Unsupported, "{}: '{}' is not supported in a strict tool", where,
                  keyword);
  return {};
}

Result<std::string> PythonValues::value(const Json& schema, const Json& root,
                                        const std::string& where) {
  if (depth_ > kMostSchemaDepth)
    return fail(ErrorCode::TooLarge, "{}: nests deeper than {}", where, kMostSchemaDepth);
  if (rules_.size() > kMostRuleBytes)
    return fail(ErrorCode::TooLarge, "{}: the tools' grammar is larger than {} bytes", where,
                kMostRuleBytes);
  ++depth_;
  Result<std::string> made = make(schema, root, where);
  --depth_;
  if (made || strict_ || made.error().code == ErrorCode::TooLarge) return made;
  return common("any");
}

Result<std::string> PythonValues::make(const Json& schema, const Json& root,
                                       const std::string& where) {
  if (schema == true) return common("any");
  if (!schema.is_object())
    return fail(ErrorCode::InvalidArgument, "{}: found {}, expected a schema", where,
                json_type_name(schema));
  MILLRACE_TRY(leave_out(schema,
                         {"not", "if", "then", "else", "dependentRequired", "dependentSchemas",
                          "oneOf", "patternProperties", "propertyNames", "minProperties",
                          "maxProperties", "contains", "uniqueItems", "multipleOf"},
                         where));
  if (const auto ref = schema.find("$ref"); ref != schema.end() && ref->is_string()) {
    const auto& name = ref->get_ref<const std::string&>();
    const std::pair key(&root, name);
    if (const auto known = refs_.find(key); known != refs_.end()) return known->second;
    const Json* target = MILLRACE_TRY(find_ref(root, name));
    // Named before it is made, since it may refer to itself.
    const std::string rule = refs_[key] = fmt::format("r{}", next_++);
    Result<std::string> made = value(*target, root, where);
    if (!made) return made;
    if (*made == rule)
      return fail(ErrorCode::InvalidArgument, "{}: '{}' refers to itself", where,
                  name.substr(0, 60));
    rules_ += fmt::format("{} ::= {}\n", rule, *made);
    return rule;
  }
  const auto any_of = [&](const Json& options) -> Result<std::string> {
    std::string body;
    for (const Json& option : options)
      body += (body.empty() ? "" : " | ") + MILLRACE_TRY(value(option, root, where));
    return add(body);
  };
  if (const auto constant = schema.find("const"); constant != schema.end())
    return add(literal(*constant));
  if (const auto values = schema.find("enum");
      values != schema.end() && values->is_array() && !values->empty()) {
    std::string body;
    for (const Json& each : *values) body += (body.empty() ? "" : " | ") + literal(each);
    return add(body);
  }
  for (const char* keyword : {"anyOf", "oneOf"})
    if (const auto options = schema.find(keyword);
        options != schema.end() && options->is_array() && !options->empty())
      return any_of(*options);
  if (const auto all = schema.find("allOf"); all != schema.end() && all->is_array()) {
    if (all->size() == 1) return value(all->front(), root, where);
    return fail(ErrorCode::Unsupported, "{}: 'allOf' of several schemas is not supported", where);
  }
  const auto type = schema.find("type");
  if (type == schema.end()) {
    if (schema.contains("properties")) return object(schema, root, where);
    if (schema.contains("items")) return list(schema, root, where);
    return common("any");
  }
  if (type->is_string()) {
    const std::string rule = MILLRACE_TRY(of_type(type->get<std::string>(), schema, root, where));
    // OpenAPI's way of a second type.
    if (const auto nullable = schema.find("nullable");
        nullable != schema.end() && *nullable == true)
      return add(fmt::format("{} | {}", rule, common("null")));
    return rule;
  }
  if (!type->is_array() || type->empty())
    return fail(ErrorCode::InvalidArgument, "{}.type: expected a type's name", where);
  std::string body;
  for (const Json& each : *type) {
    if (!each.is_string())
      return fail(ErrorCode::InvalidArgument, "{}.type: expected types' names", where);
    body += (body.empty() ? "" : " | ") +
            MILLRACE_TRY(of_type(each.get<std::string>(), schema, root, where));
  }
  return add(body);
}

Result<std::string> PythonValues::of_type(const std::string& type, const Json& schema,
                                          const Json& root, const std::string& where) {
  if (type == "string") return text(schema, where);
  if (type == "integer") return integer(schema, where);
  if (type == "number") {
    MILLRACE_TRY(
        leave_out(schema, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}, where));
    return common("number");
  }
  if (type == "boolean" || type == "null") return common(type);
  if (type == "array") return list(schema, root, where);
  if (type == "object") return object(schema, root, where);
  return fail(ErrorCode::InvalidArgument, "{}.type: '{}' is no type", where, type.substr(0, 60));
}

Result<std::string> PythonValues::text(const Json& schema, const std::string& where) {
  std::string_view pattern;
  if (const auto at = schema.find("pattern"); at != schema.end() && at->is_string()) {
    pattern = at->get_ref<const std::string&>();
    MILLRACE_TRY(check_regex(pattern));
    MILLRACE_TRY(leave_out(schema, {"minLength", "maxLength", "format"}, where));
  } else if (const auto format = schema.find("format");
             format != schema.end() && format->is_string()) {
    pattern = format_pattern(format->get_ref<const std::string&>());
    if (pattern.empty()) MILLRACE_TRY(leave_out(schema, {"format"}, where));
  }
  if (!pattern.empty())
    return add(fmt::format(R"("\"" Regex({}, json_string=true) "\"")", grammar_literal(pattern)));
  const auto least = MILLRACE_TRY(bound(schema, "minLength", where));
  const auto most = MILLRACE_TRY(bound(schema, "maxLength", where));
  if (!least && !most) return common("text");
  if (least.value_or(0) < 0 || most.value_or(0) > kMostCount || least.value_or(0) > kMostCount ||
      (most && *most < least.value_or(0)))
    return fail(ErrorCode::InvalidArgument, "{}: lengths must go from 0 to {}", where, kMostCount);
  const std::string count =
      fmt::format("{{{},{}}}", least.value_or(0), most ? std::to_string(*most) : "");
  return add(fmt::format(R"("\"" {}{} "\"" | "'" {}{} "'")", common("double"), count,
                         common("single"), count));
}

Result<std::string> PythonValues::integer(const Json& schema, const std::string& where) {
  constexpr std::int64_t kFar = 999'999'999'999'999'999;
  std::int64_t low = -kFar, high = kFar;
  if (const auto v = MILLRACE_TRY(bound(schema, "minimum", where))) low = std::max(low, *v);
  if (const auto v = MILLRACE_TRY(bound(schema, "exclusiveMinimum", where)))
    low = std::max(low, *v + 1);
  if (const auto v = MILLRACE_TRY(bound(schema, "maximum", where))) high = std::min(high, *v);
  if (const auto v = MILLRACE_TRY(bound(schema, "exclusiveMaximum", where)))
    high = std::min(high, *v - 1);
  if (low > high) return fail(ErrorCode::InvalidArgument, "{}: no integer is in its range", where);
  if (low == -kFar && high == kFar) return common("integer");
  return add(integer_range(low, high));
}

Result<std::string> PythonValues::list(const Json& schema, const Json& root,
                                       const std::string& where) {
  const std::string space = common("space");
  const auto least = MILLRACE_TRY(bound(schema, "minItems", where));
  const auto most = MILLRACE_TRY(bound(schema, "maxItems", where));
  if (least.value_or(0) < 0 || least.value_or(0) > kMostCount || most.value_or(0) > kMostCount ||
      (most && *most < least.value_or(0)))
    return fail(ErrorCode::InvalidArgument, "{}: numbers of items must go from 0 to {}", where,
                kMostCount);
  if (const auto prefix = schema.find("prefixItems");
      prefix != schema.end() && prefix->is_array()) {
    // A tuple: these items, and no others.
    MILLRACE_TRY(leave_out(schema, {"minItems", "maxItems"}, where));
    std::string body = "\"[\"";
    for (const Json& item : *prefix)
      body += fmt::format("{} {}", &item == &prefix->front() ? "" : " \",\" " + space,
                          MILLRACE_TRY(value(item, root, where + "[]")));
    return add(body + " \"]\"");
  }
  if (most && *most == 0) return add("\"[]\"");
  const auto items = schema.find("items");
  const std::string item =
      items == schema.end() ? common("any") : MILLRACE_TRY(value(*items, root, where + "[]"));
  const std::string rest = fmt::format("(\",\" {} {}){{{},{}}}", space, item,
                                       std::max<std::int64_t>(least.value_or(0) - 1, 0),
                                       most ? std::to_string(*most - 1) : "");
  return add(least.value_or(0) > 0 ? fmt::format("\"[\" {} {} \"]\"", item, rest)
                                   : fmt::format("\"[\" ({} {})? \"]\"", item, rest));
}

Result<std::string> PythonValues::object(const Json& schema, const Json& root,
                                         const std::string& where) {
  const std::string space = common("space");
  std::vector<Member> all;
  const auto required = schema.find("required");
  const auto properties = schema.find("properties");
  if (properties != schema.end() && properties->is_object())
    for (const auto& [name, property] : properties->items())
      all.push_back(
          {.head = fmt::format("{} \":\" {}", literal(Json(name)), space),
           .value =
               MILLRACE_TRY(value(property, root, fmt::format("{}.{}", where, name.substr(0, 60)))),
           .required = required != schema.end() && required->is_array() &&
                       std::find(required->begin(), required->end(), name) != required->end()});
  const auto additional = schema.find("additionalProperties");
  std::string more;
  if (additional != schema.end() && (additional->is_object() || *additional == true))
    more = fmt::format("{} \":\" {} {}", common("text"), space,
                       MILLRACE_TRY(value(*additional, root, where + ".*")));
  else if (all.empty() && additional == schema.end())
    return common("anydict");
  if (!more.empty()) more = add(more);
  return add(fmt::format("\"{{\" {} \"}}\"", members(all, more)));
}

}  // namespace millrace
