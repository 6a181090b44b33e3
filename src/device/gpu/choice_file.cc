#include "device/gpu/choice_file.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace millrace {
namespace {

constexpr std::string_view kEnd = "end";

}  // namespace

std::string user_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    return std::string(cache) + "/millrace";
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string(home) + "/.cache/millrace";
  return {};
}

ChoiceFile::ChoiceFile(std::string path, std::string identity)
    : path_(std::move(path)), identity_(std::move(identity)) {
  if (!path_.empty()) read();
}

void ChoiceFile::read() {
  std::ifstream file(path_);
  std::string line;
  if (!std::getline(file, line) || line != identity_) return;
  std::map<std::string, std::string> values;
  while (std::getline(file, line)) {
    if (line == kEnd) {
      values_ = std::move(values);
      return;
    }
    const auto blank = line.find(' ');
    if (blank == 0 || blank == std::string::npos || blank + 1 == line.size() ||
        line.find(' ', blank + 1) != std::string::npos)
      return;
    values[line.substr(0, blank)] = line.substr(blank + 1);
  }
}

std::optional<std::string> ChoiceFile::find(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return {};
  return found->second;
}

void ChoiceFile::keep(const std::string& name, const std::string& value) {
  values_[name] = value;
  if (!path_.empty()) write();
}

void ChoiceFile::write() const {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  const std::string part = path_ + "." + std::to_string(::getpid());
  {
    std::ofstream file(part);
    file << identity_ << '\n';
    for (const auto& [name, value] : values_) file << name << ' ' << value << '\n';
    file << kEnd << '\n';
    if (!file.flush()) {
      fs::remove(part, error);
      return;
    }
  }
  fs::rename(part, path_, error);
  if (error) fs::remove(part, error);
}

}  // namespace millrace
