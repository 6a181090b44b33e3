// Fixtures and small helpers of the template tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "base/json.h"
#include "text/jinja/time_text.h"

namespace millrace::testing {

inline std::string fixture_path(const std::string& name) {
  return std::string(MILLRACE_SOURCE_DIR) + "/tests/data/text/" + name;
}

// Ends the test run when the fixture is not there.
inline Json read_fixture(const std::string& name) {
  auto file = read_json_file(fixture_path(name));
  if (!file) {
    std::fprintf(stderr, "test set-up failed: %s\n", file.error().message.c_str());
    std::abort();
  }
  return std::move(*file);
}

inline LocalTime local_time(int year, unsigned month, unsigned day, int hour, int minute,
                            int second, int microsecond = 0) {
  return std::chrono::local_days(std::chrono::year(year) / std::chrono::month(month) /
                                 std::chrono::day(day)) +
         std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::microseconds(microsecond);
}

}  // namespace millrace::testing
