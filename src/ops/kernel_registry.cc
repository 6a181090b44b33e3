#include "ops/kernel_registry.h"

namespace millrace {

std::string_view to_string(Priority priority) {
  switch (priority) {
    case Priority::Reference:
      return "reference";
    case Priority::Portable:
      return "portable";
    case Priority::Performant:
      return "performant";
    case Priority::Specialized:
      return "specialized";
    case Priority::Plugin:
      return "plugin";
  }
  return "unknown";
}

}  // namespace millrace
