// Server-sent events, as bytes come in (https://html.spec.whatwg.org/#server-sent-events).
#pragma once

#include <string>
#include <string_view>

namespace millrace::loadgen {

class SseParser {
 public:
  // Calls take(std::string_view data) for every event that these bytes complete. Comments, and
  // all fields but `data`, are passed over.
  template <typename Take>
  void push(std::string_view bytes, Take take) {
    for (const char c : bytes) {
      const bool second_half = c == '\n' && after_return_;
      after_return_ = c == '\r';
      if (second_half) continue;
      if (c != '\r' && c != '\n') {
        line_ += c;
        continue;
      }
      if (!line_.empty()) {
        end_line();
      } else if (has_data_) {
        take(std::string_view(data_));
        data_.clear();
        has_data_ = false;
      }
    }
  }

  // What is held of an event that has not ended.
  std::size_t held_bytes() const { return line_.size() + data_.size(); }

 private:
  void end_line();

  std::string line_, data_;
  bool has_data_ = false;
  bool after_return_ = false;
};

}  // namespace millrace::loadgen
