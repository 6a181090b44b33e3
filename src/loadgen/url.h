// Where a server is.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::loadgen {

// http://HOST[:PORT][/PATH], the same with https, or HOST:PORT. A path that ends in /v1 loses it:
// the paths that are asked for have it themselves.
struct Url {
  bool tls = false;
  std::string host;  // of an IPv6 address without the brackets
  std::string port;
  std::string path;  // "" or "/prefix"

  static Result<Url> parse(std::string_view text);
  // For the Host header.
  std::string authority() const;
  std::string text() const;
};

}  // namespace millrace::loadgen
