// What a JSON schema may say so that masks enforce all of it. Whatever would be left out is refused
// by name, with its place in the schema.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace {

constexpr int kMostSchemaDepth = 64;

// The schema as the compiler shall see it: what may be anything says so, since the compiler takes
// lists without `items` and objects without `properties` for empty ones.
Result<Json> checked_schema(const Json& schema);

// The part of `root` that a "$ref" names ("#", "#/$defs/x"), or an error that names it.
Result<const Json*> find_ref(const Json& root, std::string_view ref);

// Words that say nothing of which values fit: "title", "default", ..., "x-...".
bool is_annotation(std::string_view keyword);

}  // namespace millrace
