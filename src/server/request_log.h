// A line on standard error for each request, for people or for machines.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "server/exchange.h"

namespace millrace::server {

enum class LogFormat { Text, Json };

// "2026-01-31T09:30:00.123Z"
std::string utc_time(std::chrono::system_clock::time_point at);

// The line for a request that has been answered; 499: its client had left.
std::string request_line(LogFormat format, const HttpRequest& request, const RequestFacts& facts,
                         int status, double seconds, const std::string& time);

// The line for anything else that an operator should know.
std::string event_line(LogFormat format, const std::string& message, const std::string& time);

}  // namespace millrace::server
