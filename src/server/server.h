// The HTTP server: one thread for IO, on which run() works.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "engine/engine.h"
#include "server/config.h"

namespace millrace::server {

class Server {
 public:
  // Binds the address. The engine outlives run() and not the server: see run().
  static Result<std::unique_ptr<Server>> open(std::unique_ptr<Engine> engine, ServerConfig config,
                                              ServedModel model);
  virtual ~Server() = default;

  // "http://127.0.0.1:8000", with the port that was really bound.
  virtual std::string address() const = 0;

  // Serves until SIGTERM or SIGINT, then lets answers end for at most drain_time; a second signal
  // ends them at once.
  virtual void run() = 0;
};

}  // namespace millrace::server
