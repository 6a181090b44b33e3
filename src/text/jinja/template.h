// Jinja templates as transformers runs them for chat templates (docs/adr/0003): immutable sandbox,
// trim_blocks, lstrip_blocks, break and continue, generation blocks, tojson as json.dumps writes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "text/jinja/limits.h"
#include "text/jinja/time_text.h"

namespace millrace {

// The variables of a render: borrowed for its time. A later one hides an earlier of its name.
using JinjaVariables = std::vector<std::pair<std::string_view, const Json*>>;

// A parsed template. Copies share the syntax tree; any number of threads may render one at a time.
class JinjaTemplate {
 public:
  // `origin` names the template in messages. Corrupt for malformed source, Unsupported for tags
  // that the engine refuses, TooLarge over the limits; messages name the line.
  static Result<JinjaTemplate> parse(std::string_view source, std::string_view origin,
                                     const JinjaLimits& limits = {});

  // InvalidArgument for what the template or raise_exception refuses, TooLarge over the limits;
  // messages name the template's line.
  Result<std::string> render(const JinjaVariables& variables, LocalTime now) const;

 private:
  struct Parsed;
  explicit JinjaTemplate(std::shared_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}

  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace millrace
