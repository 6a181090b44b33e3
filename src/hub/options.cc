#include "hub/options.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "hub/text.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestToken = 4096;

bool is_true(const std::string& value) {
  const std::string text = hub::lower(value);
  return text == "1" || text == "on" || text == "yes" || text == "true";
}

// As Python's client reads it: without line ends, wherever they stand.
std::string clean_token(std::string_view text) {
  std::string token;
  for (const char c : hub::trim(text))
    if (c != '\r' && c != '\n') token += c;
  return token;
}

std::string read_token(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kLongestToken, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return clean_token(text);
}

}  // namespace

HubOptions HubOptions::from_variables(const Lookup& lookup) {
  const auto variable = [&](const char* name) -> std::optional<std::string> {
    auto value = lookup(name);
    return value && !value->empty() ? value : std::nullopt;
  };
  const fs::path user_home = variable("HOME").value_or("");
  const auto folder = [&](const char* name) -> std::optional<fs::path> {
    const auto value = variable(name);
    if (!value) return std::nullopt;
    if (*value == "~") return user_home;
    if (value->starts_with("~/")) return user_home / value->substr(2);
    return fs::path(*value);
  };

  HubOptions options;
  fs::path home;  // HF_HOME
  if (const auto set = folder("HF_HOME"))
    home = *set;
  else if (const auto xdg = folder("XDG_CACHE_HOME"))
    home = *xdg / "huggingface";
  else if (!user_home.empty())
    home = user_home / ".cache" / "huggingface";

  if (const auto set = folder("HF_HUB_CACHE"))
    options.cache = *set;
  else if (const auto old_name = folder("HUGGINGFACE_HUB_CACHE"))
    options.cache = *old_name;
  else if (!home.empty())
    options.cache = home / "hub";

  if (const auto token = variable("HF_TOKEN"))
    options.token = clean_token(*token);
  else if (const auto path = folder("HF_TOKEN_PATH"))
    options.token = read_token(*path);
  else if (!home.empty())
    options.token = read_token(home / "token");

  if (auto endpoint = variable("HF_ENDPOINT")) {
    while (endpoint->ends_with('/')) endpoint->pop_back();
    options.endpoint = *endpoint;
  }
  options.offline = is_true(variable("HF_HUB_OFFLINE").value_or(""));
  return options;
}

HubOptions HubOptions::from_environment() {
  return from_variables([](const char* name) -> std::optional<std::string> {
    if (const char* value = std::getenv(name)) return value;
    if (std::string_view(name) != "HOME") return std::nullopt;
    const passwd* user = ::getpwuid(::getuid());
    return user != nullptr && user->pw_dir != nullptr ? std::optional<std::string>(user->pw_dir)
                                                      : std::nullopt;
  });
}

}  // namespace millrace
