// Locks between processes, Python's huggingface_hub among them.
#pragma once

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "hub/stop.h"

namespace millrace::hub {

// Holds flock(2) on a lock file until destroyed. The file itself stays: another process may be
// waiting on it. On a file system without flock nothing is locked; digests keep the cache right.
class FileLock {
 public:
  // Waits while another process or thread holds it. Cancelled when stopped meanwhile.
  static Result<FileLock> acquire(const std::filesystem::path& path, const Stop& stop);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace millrace::hub
