#include "hub/partial_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "base/check.h"
#include "hub/cache_layout.h"

namespace millrace::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kSaveEvery{1};
constexpr std::size_t kLongestList = 4u << 20;

ByteRanges read_ranges(const fs::path& path, std::uint64_t size, std::uint64_t bytes_there) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  std::string text(kLongestList, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  auto ranges = ByteRanges::from_text(text, size);
  if (!ranges || (!ranges->ranges().empty() && ranges->ranges().back().end > bytes_there))
    return {};
  return std::move(*ranges);
}

}  // namespace

Result<std::unique_ptr<PartialFile>> PartialFile::open(const fs::path& path,
                                                       const fs::path& ranges_path,
                                                       std::uint64_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0)
    return fail(ErrorCode::Unavailable, "{}: cannot open: {}", path.string(), std::strerror(errno));
  std::unique_ptr<PartialFile> file(new PartialFile(fd, path, ranges_path, size));
  struct stat info {};
  const std::uint64_t there =
      ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  file->done_ = read_ranges(ranges_path, size, there);
  file->resumed_ = file->done_.total() > 0;
  // Bytes beyond the end (left by another size) must not survive.
  if (!file->resumed_ || there > size) {
    if (::ftruncate(fd, file->resumed_ ? static_cast<off_t>(size) : 0) != 0)
      return fail(ErrorCode::Unavailable, "{}: cannot shorten: {}", path.string(),
                  std::strerror(errno));
  }
  return file;
}

PartialFile::PartialFile(int fd, fs::path path, fs::path ranges_path, std::uint64_t size)
    : fd_(fd),
      path_(std::move(path)),
      ranges_path_(std::move(ranges_path)),
      size_(size),
      last_save_(std::chrono::steady_clock::now()) {}

PartialFile::~PartialFile() {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) save();
  }
  ::close(fd_);
}

Status PartialFile::write(std::uint64_t offset, std::string_view bytes) {
  check(bytes.size() <= size_ && offset <= size_ - bytes.size(), "a write beyond the file's end");
  std::uint64_t at = offset;
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t written = ::pwrite(fd_, rest.data(), rest.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      return fail(errno == ENOSPC ? ErrorCode::TooLarge : ErrorCode::Unavailable,
                  "{}: cannot write: {}", path_.string(), std::strerror(errno));
    rest.remove_prefix(static_cast<std::size_t>(written));
    at += static_cast<std::uint64_t>(written);
  }
  const std::lock_guard lock(mutex_);
  done_.add({offset, at});
  if (std::chrono::steady_clock::now() - last_save_ >= kSaveEvery) save();
  return {};
}

std::vector<ByteRange> PartialFile::gaps(std::uint64_t longest) const {
  const std::lock_guard lock(mutex_);
  return done_.gaps(size_, longest);
}

std::uint64_t PartialFile::done_bytes() const {
  const std::lock_guard lock(mutex_);
  return done_.total();
}

void PartialFile::checkpoint() {
  const std::lock_guard lock(mutex_);
  save();
}

Status PartialFile::reset() {
  const std::lock_guard lock(mutex_);
  done_ = {};
  resumed_ = false;
  save();
  if (::ftruncate(fd_, 0) != 0)
    return fail(ErrorCode::Unavailable, "{}: cannot shorten: {}", path_.string(),
                std::strerror(errno));
  return {};
}

Status PartialFile::finish(const fs::path& destination) {
  const std::lock_guard lock(mutex_);
  check(done_.gaps(size_, size_ + 1).empty(), "a download with gaps is not finished");
  std::error_code error;
  if (::fdatasync(fd_) != 0) error.assign(errno, std::generic_category());
  if (!error) fs::rename(path_, destination, error);
  if (error)
    return fail(
        error == std::errc::no_space_on_device ? ErrorCode::TooLarge : ErrorCode::Unavailable,
        "{}: cannot write: {}", destination.string(), error.message());
  gone_ = true;
  fs::remove(ranges_path_, error);
  return {};
}

void PartialFile::discard() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
  std::error_code ignored;
  fs::remove(path_, ignored);
  fs::remove(ranges_path_, ignored);
}

void PartialFile::save() {
  last_save_ = std::chrono::steady_clock::now();
  // A list that cannot be written costs the next download its head start, not this one.
  static_cast<void>(write_atomically(ranges_path_, done_.to_text(size_)));
}

}  // namespace millrace::hub
