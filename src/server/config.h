// What `millrace serve` can be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "api/generation_spec.h"
#include "server/request_log.h"

namespace millrace::server {

struct ServerConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;                 // 0: any free one
  std::string ssl_certfile, ssl_keyfile;     // PEM; both: TLS, neither: none
  std::vector<std::string> api_keys;         // none: everybody may ask
  std::vector<std::string> allowed_origins;  // for CORS; "*": all; none: no CORS
  bool log_requests = false;
  LogFormat log_format = LogFormat::Text;
  std::string trace_path;  // the step thread's timeline is written there at the end

  std::uint32_t header_bytes = 32u << 10;
  std::uint64_t body_bytes = 16u << 20;
  std::int64_t most_connections = 8192;
  double request_seconds = 0;        // after which an answer ends as far as it is; 0: no limit
  std::int64_t most_waiting = 1024;  // answers beyond those that run; more are refused with 429
  std::chrono::milliseconds idle_time{75'000};   // for the next request's header
  std::chrono::milliseconds body_time{60'000};   // for a body
  std::chrono::milliseconds write_time{60'000};  // for a client that does not read
  std::chrono::milliseconds drain_time{30'000};  // after SIGTERM, for answers to end
  int workers = 2;  // threads for templates, tokenizing and large bodies
};

}  // namespace millrace::server
