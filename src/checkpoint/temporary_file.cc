#include "checkpoint/temporary_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace millrace {

Result<TemporaryFile> TemporaryFile::create(std::string path) {
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0)
    return fail(errno == ENOENT ? ErrorCode::NotFound : ErrorCode::InvalidArgument,
                "{}: cannot create: {}", path, std::strerror(errno));
  return TemporaryFile(std::move(path), std::move(temporary), fd);
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

TemporaryFile::~TemporaryFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
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
  // Some file systems report a full disk only here.
  if (::close(std::exchange(fd_, -1)) != 0) return failed("write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("rename");
  temporary_.clear();
  return {};
}

Status TemporaryFile::failed(std::string_view what) const {
  return fail(ErrorCode::InvalidArgument, "{}: cannot {}: {}", path_, what, std::strerror(errno));
}

}  // namespace millrace
