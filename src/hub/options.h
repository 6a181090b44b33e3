// Where the hub is, who asks, and where its files go.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace millrace {

struct RetryPolicy {
  int attempts = 6;  // in a row without a byte of progress
  std::chrono::milliseconds first_delay{500};
  std::chrono::milliseconds longest_delay{20'000};
  // A server that asks for a longer wait (Retry-After) ends the download with an error.
  std::chrono::seconds longest_retry_after{300};
};

struct HubOptions {
  std::string endpoint = "https://huggingface.co";  // no slash at the end
  std::string token;                                // empty: none. Never printed
  std::filesystem::path cache;                      // holds models--ORG--NAME; empty: unknown
  bool offline = false;                             // answer from the cache alone
  std::chrono::milliseconds connect_timeout{15'000};
  // A transfer slower than stall_bytes_per_second for this long counts as dropped.
  std::chrono::milliseconds stall_timeout{30'000};
  std::uint64_t stall_bytes_per_second = 128;
  RetryPolicy retry;

  // The variables of Python's huggingface_hub: HF_ENDPOINT; HF_TOKEN, else the file HF_TOKEN_PATH,
  // else $HF_HOME/token; HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub
  // (XDG_CACHE_HOME counts); HF_HUB_OFFLINE.
  static HubOptions from_environment();

  // The same from any lookup of variables; an empty value counts as unset.
  using Lookup = std::function<std::optional<std::string>(const char* name)>;
  static HubOptions from_variables(const Lookup& lookup);
};

}  // namespace millrace
