#include "checkpoint/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace millrace {

Result<TemporaryFile> TemporaryFile::create(std::string path) {
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const std::string folder = std::filesystem::path(path).parent_path().string();
  int fd = -1;
  if (::access("/proc/self/fd", X_OK) == 0)  // where keep() finds it
    fd = ::open(folder.empty() ? "." : folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (fd >= 0) return TemporaryFile(std::move(path), std::move(temporary), fd, true);
  // Not every file system has files without a name.
  fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return fail(errno == ENOENT ? ErrorCode::NotFound : ErrorCode::InvalidArgument,
                "{}: cannot create: {}", path, std::strerror(errno));
  return TemporaryFile(std::move(path), std::move(temporary), fd, false);
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      nameless_(std::exchange(other.nameless_, true)) {}

TemporaryFile::~TemporaryFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!nameless_) ::unlink(temporary_.c_str());
}

Status TemporaryFile::write(const void* data, std::size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, next, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write");
    next += written;
    size -= static_cast<std::size_t>(written);
  }
  return {};
}

Status TemporaryFile::keep() {
  if (nameless_) {
    ::unlink(temporary_.c_str());  // of a process of the same number that was killed just here
    const std::string open = fmt::format("/proc/self/fd/{}", fd_);
    if (::linkat(AT_FDCWD, open.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return failed("name");
    nameless_ = false;
  }
  // Some file systems report a full disk only here.
  if (::close(std::exchange(fd_, -1)) != 0) return failed("write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("rename");
  nameless_ = true;
  return {};
}

Status TemporaryFile::failed(std::string_view what) const {
  return fail(ErrorCode::InvalidArgument, "{}: cannot {}: {}", path_, what, std::strerror(errno));
}

}  // namespace millrace
