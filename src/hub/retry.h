// When to try again.
#pragma once

#include <chrono>
#include <optional>
#include <random>

#include "hub/options.h"
#include "hub/stop.h"
#include "hub/transport.h"

namespace millrace::hub {

// Exponential delays with jitter, so that many clients a server dropped do not come back at once.
class Backoff {
 public:
  explicit Backoff(const RetryPolicy& policy);

  // Waits before the next attempt. The failure itself, with the number of attempts, when it is not
  // transient, when the attempts are used up or when the server asks for too long a wait;
  // Cancelled when stopped meanwhile.
  Status wait(const Failure& failure, const Stop& stop);

  // After progress: the attempts in a row count anew. Their sum stays limited, for a server that
  // gives one byte at a time.
  void progressed() { in_a_row_ = 0; }

 private:
  const RetryPolicy& policy_;
  int in_a_row_ = 0;
  int in_all_ = 0;
  std::minstd_rand random_;
};

// What an answer other than 2xx means. `what` names the repository and file, `host` who answered.
Failure status_failure(const HttpResponse& response, const HubOptions& options,
                       const std::string& repo, const std::string& what);

}  // namespace millrace::hub
