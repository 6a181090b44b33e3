#include "loadgen/sse.h"

#include <algorithm>

namespace millrace::loadgen {

void SseParser::end_line() {
  std::string_view line = line_;
  constexpr std::string_view kField = "data";
  if (line.starts_with(kField) && (line.size() == kField.size() || line[kField.size()] == ':')) {
    line.remove_prefix(std::min(line.size(), kField.size() + 1));
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += line;
    has_data_ = true;
  }
  line_.clear();
}

}  // namespace millrace::loadgen
