// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace millrace {

std::string format_bytes(std::uint64_t bytes);  // "1.25 GiB", "80.0 KiB", "12 B"
std::string format_count(std::uint64_t count);  // "1.17B", "354M", "12.3k", "999"
std::string format_seconds(double seconds);     // "1m 05s", "3.2s", "12 ms", "480 us"

}  // namespace millrace
