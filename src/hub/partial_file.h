// A download under way: a file with holes and, beside it, the list of what is there.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/byte_ranges.h"

namespace millrace::hub {

// The list is written once a second, by checkpoint() and when this is destroyed, always after the
// bytes it speaks of: a killed process loses a second's work. After a power failure the list may
// promise bytes that never reached the disk; the digest of the whole finds that. Thread-safe; the
// caller holds the blob's lock, so no other process writes here.
class PartialFile {
 public:
  // Opens what an earlier download left, or an empty file. A list that contradicts the file, or
  // cannot be read, counts as none.
  static Result<std::unique_ptr<PartialFile>> open(const std::filesystem::path& path,
                                                   const std::filesystem::path& ranges_path,
                                                   std::uint64_t size);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  Status write(std::uint64_t offset, std::string_view bytes);
  std::vector<ByteRange> gaps(std::uint64_t longest) const;
  std::uint64_t done_bytes() const;
  // Whether it holds bytes of an earlier download.
  bool resumed() const { return resumed_; }
  int fd() const { return fd_; }

  // Writes the list now: after a request, say, that the next may not follow soon.
  void checkpoint();
  // Forgets every byte.
  Status reset();
  // Moves the complete file to `destination`, its bytes on the disk first.
  Status finish(const std::filesystem::path& destination);
  // Removes it and its list.
  void discard();

 private:
  PartialFile(int fd, std::filesystem::path path, std::filesystem::path ranges_path,
              std::uint64_t size);
  void save();  // with mutex_ held

  const int fd_;
  const std::filesystem::path path_;
  const std::filesystem::path ranges_path_;
  const std::uint64_t size_;
  bool resumed_ = false;
  bool gone_ = false;  // finished or discarded
  mutable std::mutex mutex_;
  ByteRanges done_;
  std::chrono::steady_clock::time_point last_save_;
};

}  // namespace millrace::hub
