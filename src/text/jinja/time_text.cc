#include "text/jinja/time_text.h"

#include <array>
#include <ctime>

namespace millrace {

LocalTime local_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts = {};
  ::localtime_r(&seconds, &parts);
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  // The offset from UTC turns the instant into what a clock on the wall shows.
  return LocalTime(since_epoch + std::chrono::seconds(parts.tm_gmtoff));
}

namespace jinja {
namespace {

std::tm calendar(LocalTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::tm parts = {};
  parts.tm_year = static_cast<int>(date.year()) - 1900;
  parts.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  parts.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  parts.tm_hour = static_cast<int>(clock.hours().count());
  parts.tm_min = static_cast<int>(clock.minutes().count());
  parts.tm_sec = static_cast<int>(clock.seconds().count());
  parts.tm_wday = static_cast<int>(std::chrono::weekday(day).c_encoding());
  const auto new_year = std::chrono::local_days(date.year() / std::chrono::January / 1);
  parts.tm_yday = static_cast<int>((day - new_year).count());
  parts.tm_isdst = -1;
  return parts;
}

}  // namespace

Value time_text(Heap& heap, LocalTime time, std::string_view format) {
  const std::tm parts = calendar(time);
  const auto since_second = time - std::chrono::floor<std::chrono::seconds>(time);
  TextBuilder out(heap);
  for (std::size_t at = 0; at < format.size();) {
    heap.step();
    if (format[at] != '%' || at + 1 == format.size()) {
      out.add(format.substr(at++, 1));
      continue;
    }
    std::size_t end = at + 1;
    while (end < format.size() &&
           std::string_view("-_0^#").find(format[end]) != std::string_view::npos)
      ++end;
    int width = 0;
    for (; end < format.size() && format[end] >= '0' && format[end] <= '9'; ++end) {
      width = width * 10 + (format[end] - '0');
      if (width > 100) raise_too_large("strftime_now: a field over 100 characters wide");
    }
    if (end < format.size() && (format[end] == 'E' || format[end] == 'O')) ++end;
    const char directive = end < format.size() ? format[end++] : '\0';
    if (directive == 'f') {
      out.add(fmt::format("{:06}", since_second.count()));
    } else if (directive != 'z' && directive != 'Z') {  // a naive time has no zone
      const std::string one(format.substr(at, end - at));
      std::array<char, 512> buffer;
      const std::size_t size = std::strftime(buffer.data(), buffer.size(), one.c_str(), &parts);
      out.add(std::string_view(buffer.data(), size));
    }
    at = end;
  }
  return out.value();
}

}  // namespace jinja
}  // namespace millrace
