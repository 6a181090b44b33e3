#include "loadgen/url.h"

#include <algorithm>
#include <cctype>

namespace millrace::loadgen {

Result<Url> Url::parse(std::string_view text) {
  const std::string whole(text);
  const auto wrong = [&](std::string_view what) {
    return fail(ErrorCode::InvalidArgument, "URL '{}': {}; expected http://HOST:PORT", whole, what);
  };
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (text.find("://") != std::string_view::npos) {
    return wrong("is neither http nor https");
  }
  const auto slash = std::min(text.find('/'), text.size());
  url.path = text.substr(slash);
  text = text.substr(0, slash);
  if (text.find('@') != std::string_view::npos) return wrong("holds a user name");
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return wrong("has no ']'");
    url.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    url.host = text.substr(0, colon);
    port = text.substr(colon);
  }
  if (url.host.empty()) return wrong("names no host");
  if (port.empty())
    url.port = url.tls ? "443" : "80";
  else if (port.starts_with(':') && port.size() > 1 && port.size() <= 6 &&
           std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }))
    url.port = port.substr(1);
  else
    return wrong("has a port that is no number");
  while (url.path.ends_with('/')) url.path.pop_back();
  if (url.path.ends_with("/v1")) url.path.resize(url.path.size() - 3);
  return url;
}

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? "443" : "80") ? name : name + ":" + port;
}

std::string Url::text() const {
  return (tls ? "https://" : "http://") + authority() + path;
}

}  // namespace millrace::loadgen
