#include "constraint/schema_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/json.h"
#include "constraint/grammar_text.h"

namespace millrace {
namespace {

constexpr std::size_t kMostNodes = 20'000;
constexpr std::size_t kMostEnumValues = 4096;
constexpr std::size_t kMostProperties = 2048;  // of one object
constexpr std::int64_t kMostCount = 4096;      // lengths and numbers of items are written out
constexpr std::int64_t kMostPropertyCount = 64;

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return is_one_of(name, std::span(names.begin(), names.size()));
}

// Keywords by the type of value that they speak of.
std::string_view type_of_keyword(std::string_view keyword) {
  if (is_one_of(keyword,
                {"properties", "required", "additionalProperties", "patternProperties",
                 "propertyNames", "minProperties", "maxProperties", "unevaluatedProperties"}))
    return "object";
  if (is_one_of(keyword, {"items", "prefixItems", "minItems", "maxItems", "unevaluatedItems"}))
    return "array";
  if (is_one_of(keyword, {"minLength", "maxLength", "pattern", "format"})) return "string";
  if (is_one_of(keyword,
                {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}))
    return "number";
  return "";
}

constexpr std::string_view kFormats[] = {"email",        "date",
                                         "time",         "date-time",
                                         "duration",     "ipv4",
                                         "ipv6",         "uuid",
                                         "hostname",     "uri",
                                         "json-pointer", "uri-reference",
                                         "uri-template", "relative-json-pointer"};

constexpr std::array<std::string_view, 7> kTypes = {"string", "integer", "number", "boolean",
                                                    "null",   "array",   "object"};

bool fits(const Json& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "array") return value.is_array();
  if (type == "object") return value.is_object();
  if (type == "number") return value.is_number();
  return value.is_number_integer() ||
         (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
}

class Checker {
 public:
  explicit Checker(const Json& root) : root_(root) {}

  Status check(Json& schema, const std::string& where, int depth) {
    if (depth > kMostSchemaDepth)
      return fail(ErrorCode::TooLarge, "{}: nests deeper than {}", where, kMostSchemaDepth);
    if (++nodes_ > kMostNodes)
      return fail(ErrorCode::TooLarge, "the schema has more than {} parts", kMostNodes);
    if (schema == true) return {};
    if (schema.is_boolean()) return fail(ErrorCode::InvalidArgument, "{}: nothing fits it", where);
    if (!schema.is_object())
      return fail(ErrorCode::InvalidArgument, "{}: found {}, expected an object", where,
                  json_type_name(schema));
    MILLRACE_TRY(check_types(schema, where));
    MILLRACE_TRY(check_company(schema, where));
    for (auto& [keyword, value] : schema.items())
      MILLRACE_TRY(check_keyword(keyword, value, schema, where, depth));
    complete(schema);
    return {};
  }

 private:
  Status check_types(const Json& schema, const std::string& where) {
    const auto type = schema.find("type");
    if (type == schema.end()) return {};
    const Json one = Json::array({*type});
    const Json& types = type->is_array() ? *type : one;
    if (types.empty()) return fail(ErrorCode::InvalidArgument, "{}.type: is empty", where);
    for (const Json& each : types)
      if (!each.is_string() || std::find(kTypes.begin(), kTypes.end(),
                                         each.get_ref<const std::string&>()) == kTypes.end())
        return fail(ErrorCode::InvalidArgument, "{}.type: found {}, expected a type's name", where,
                    each.dump().substr(0, 60));
    return {};
  }

  static bool has_type(const Json& schema, std::string_view type) {
    const auto at = schema.find("type");
    if (at == schema.end()) return false;
    const auto is = [&](const Json& name) {
      return name == type || (type == "number" && name == "integer");
    };
    return at->is_array() ? std::any_of(at->begin(), at->end(), is) : is(*at);
  }

  // Of these only the first would count; what stands beside it would be left out.
  Status check_company(const Json& schema, const std::string& where) {
    for (const std::string_view first : {"$ref", "const", "enum", "anyOf", "oneOf", "allOf"}) {
      const auto at = schema.find(first);
      if (at == schema.end()) continue;
      for (const auto& [keyword, value] : schema.items()) {
        if (keyword == first || is_annotation(keyword) || keyword == "$defs" ||
            keyword == "definitions")
          continue;
        if (keyword != "type" || (first != "enum" && first != "const"))
          return fail(ErrorCode::Unsupported, "{}: '{}' beside '{}' is not supported", where,
                      keyword.substr(0, 60), first);
        const Json one = Json::array({*at});
        for (const Json& each : first == "enum" && at->is_array() ? *at : one) {
          const bool some = value.is_array()
                                ? std::any_of(value.begin(), value.end(),
                                              [&](const Json& type) {
                                                return fits(each, type.get<std::string>());
                                              })
                                : fits(each, value.get<std::string>());
          if (!some)
            return fail(ErrorCode::InvalidArgument, "{}.{}: {} is not of the type beside it", where,
                        first,
                        each.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
        }
      }
      return {};
    }
    return {};
  }

  Status check_keyword(const std::string& keyword, Json& value, const Json& schema,
                       const std::string& where, int depth) {
    const std::string place = fmt::format("{}.{}", where, keyword.substr(0, 60));
    if (is_annotation(keyword) || keyword == "type") return {};
    if (keyword == "$ref") {
      if (!value.is_string())
        return fail(ErrorCode::InvalidArgument, "{}: expected a string", place);
      return check_ref(value.get_ref<const std::string&>(), place);
    }
    if (keyword == "$defs" || keyword == "definitions") return check_members(value, place, depth);
    if (keyword == "const") return {};
    if (keyword == "enum") {
      if (!value.is_array() || value.empty())
        return fail(ErrorCode::InvalidArgument, "{}: expected a list of values", place);
      if (value.size() > kMostEnumValues)
        return fail(ErrorCode::TooLarge, "{}: {} values, the limit is {}", place, value.size(),
                    kMostEnumValues);
      return {};
    }
    if (is_one_of(keyword, {"anyOf", "oneOf", "allOf", "prefixItems"})) {
      if (!value.is_array() || value.empty())
        return fail(ErrorCode::InvalidArgument, "{}: expected a list of schemas", place);
      if (keyword == "allOf" && value.size() > 1)
        return fail(ErrorCode::Unsupported, "{}: more than one schema is not supported", place);
      for (std::size_t i = 0; i < value.size(); ++i)
        MILLRACE_TRY(check(value[i], fmt::format("{}[{}]", place, i), depth + 1));
      return {};
    }
    const std::string_view type = type_of_keyword(keyword);
    if (type.empty() || keyword == "unevaluatedProperties" || keyword == "unevaluatedItems")
      return fail(ErrorCode::Unsupported, "{}: '{}' is not supported", where,
                  keyword.substr(0, 60));
    if (!schema.contains("type") && type != "object" && keyword != "items")
      return fail(ErrorCode::Unsupported, "{}: '{}' needs a type beside it", where, keyword);
    return check_typed(keyword, value, place, depth);
  }

  Status check_typed(const std::string& keyword, Json& value, const std::string& place, int depth) {
    if (keyword == "properties" || keyword == "patternProperties") {
      if (value.is_object() && value.size() > kMostProperties)
        return fail(ErrorCode::TooLarge, "{}: {} properties, the limit is {}", place, value.size(),
                    kMostProperties);
      return check_members(value, place, depth);
    }
    if (keyword == "items" || keyword == "additionalProperties") {
      if (value.is_boolean()) return {};
      return check(value, place, depth + 1);
    }
    if (keyword == "propertyNames") {
      if (!value.is_object() || !has_type(value, "string"))
        return fail(ErrorCode::Unsupported, "{}: needs the type 'string'", place);
      return check(value, place, depth + 1);
    }
    if (keyword == "required") {
      const bool texts =
          value.is_array() &&
          std::all_of(value.begin(), value.end(), [](const Json& v) { return v.is_string(); });
      if (!texts) return fail(ErrorCode::InvalidArgument, "{}: expected a list of names", place);
      if (value.size() > kMostProperties)
        return fail(ErrorCode::TooLarge, "{}: {} names, the limit is {}", place, value.size(),
                    kMostProperties);
      return {};
    }
    if (keyword == "pattern" || keyword == "format") {
      if (!value.is_string())
        return fail(ErrorCode::InvalidArgument, "{}: expected a string", place);
      const auto& text = value.get_ref<const std::string&>();
      if (keyword == "format" && !is_one_of(text, kFormats))
        return fail(ErrorCode::Unsupported, "{}: '{}' is not supported", place, text.substr(0, 60));
      if (keyword == "pattern")
        if (const Status small = check_regex(text); !small) return fail_in(place, small.error());
      return {};
    }
    if (!value.is_number()) return fail(ErrorCode::InvalidArgument, "{}: expected a number", place);
    const bool is_count =
        keyword.find("Length") != std::string::npos || keyword.find("Items") != std::string::npos;
    const bool is_property_count = keyword.find("Properties") != std::string::npos;
    const std::int64_t most = is_property_count ? kMostPropertyCount : kMostCount;
    if ((is_count || is_property_count) && (!value.is_number_integer() || value.get<double>() < 0 ||
                                            value.get<double>() > static_cast<double>(most)))
      return fail(ErrorCode::TooLarge, "{}: found {}, expected an integer from 0 to {}", place,
                  value.dump(), most);
    return {};
  }

  Status check_members(Json& value, const std::string& place, int depth) {
    if (!value.is_object())
      return fail(ErrorCode::InvalidArgument, "{}: found {}, expected an object", place,
                  json_type_name(value));
    for (auto& [name, member] : value.items())
      MILLRACE_TRY(check(member, fmt::format("{}.{}", place, name.substr(0, 60)), depth + 1));
    return {};
  }

  // A chain of references must come to a schema.
  Status check_ref(std::string_view ref, const std::string& place) {
    constexpr int kMostLinks = 32;
    for (int links = 0; links < kMostLinks; ++links) {
      const Result<const Json*> found = find_ref(root_, ref);
      if (!found) return fail_in(place, found.error());
      const auto next = (*found)->is_object() ? (*found)->find("$ref") : (*found)->end();
      if (!(*found)->is_object() || next == (*found)->end() || !next->is_string()) return {};
      ref = next->get_ref<const std::string&>();
    }
    return fail(ErrorCode::InvalidArgument, "{}: references go in a circle", place);
  }

  static void complete(Json& schema) {
    for (const char* other : {"$ref", "const", "enum", "anyOf", "oneOf", "allOf"})
      if (schema.contains(other)) return;
    if (has_type(schema, "array") && !schema.contains("items") && !schema.contains("prefixItems"))
      schema["items"] = true;
    // The compiler's own way with lengths lets control characters through, which no JSON text may
    // hold; a pattern does not, nor anything else that would need an escape.
    const Json* least = json_find(schema, "minLength");
    const Json* most = json_find(schema, "maxLength");
    if (has_type(schema, "string") && (least || most) && !schema.contains("pattern") &&
        !schema.contains("format")) {
      schema["pattern"] =
          fmt::format("^.{{{},{}}}$", least ? least->dump() : "0", most ? most->dump() : "");
      schema.erase("minLength");
      schema.erase("maxLength");
    }
    if (has_type(schema, "object") && !schema.contains("properties") &&
        !schema.contains("additionalProperties") && !schema.contains("patternProperties") &&
        !schema.contains("propertyNames"))
      schema["additionalProperties"] = true;
  }

  const Json& root_;
  std::size_t nodes_ = 0;
};

}  // namespace

bool is_annotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         is_one_of(keyword,
                   {"title", "description", "default", "examples", "example", "$schema", "$id",
                    "$comment", "deprecated", "readOnly", "writeOnly", "discriminator"});
}

Result<const Json*> find_ref(const Json& root, std::string_view ref) {
  const Json* at = &root;
  if (ref != "#" && !ref.starts_with("#/"))
    return fail(ErrorCode::Unsupported, "'{}' is outside this schema", ref.substr(0, 60));
  std::string_view rest = ref.substr(std::min<std::size_t>(2, ref.size()));
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    const auto member = at->is_object() ? at->find(std::string(part)) : at->end();
    if (!at->is_object() || member == at->end())
      return fail(ErrorCode::InvalidArgument, "'{}' is not in the schema", ref.substr(0, 60));
    at = &*member;
  }
  return at;
}

Result<Json> checked_schema(const Json& schema) {
  Json copy = schema;
  MILLRACE_TRY(Checker(schema).check(copy, "schema", 0));
  return copy;
}

}  // namespace millrace
