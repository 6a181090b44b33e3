// A file that is seen whole or not at all.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace {

// Written without a name where the file system knows such files, so that not even a kill leaves
// something behind, else under a temporary name beside `path`. keep() gives it its name, else it is
// gone. An error names the path and what the system said.
class TemporaryFile {
 public:
  static Result<TemporaryFile> create(std::string path);

  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();

  const std::string& path() const { return path_; }
  Status write(const void* data, std::size_t size);
  // Closes the file and gives it its name, in place of any file that has it.
  Status keep();

 private:
  TemporaryFile(std::string path, std::string temporary, int fd, bool nameless)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd), nameless_(nameless) {}
  Status failed(std::string_view what) const;

  std::string path_;
  std::string temporary_;  // on the way to `path`
  int fd_;                 // -1 once closed
  bool nameless_;          // nothing is at `temporary`: not yet, or no more
};

}  // namespace millrace
