// One blob that is being downloaded.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "hub/cache_layout.h"
#include "hub/checksum.h"
#include "hub/file_lock.h"
#include "hub/partial_file.h"
#include "hub/remote_file.h"

namespace millrace::hub {

// Owns the blob's lock and partial file. The counts are the scheduler's, under its mutex.
struct BlobTask {
  RemoteFile file;  // size and etag known
  DigestKind digest = DigestKind::Sha256;
  std::unique_ptr<PartialFile> partial;
  std::optional<FileLock> lock;
  std::size_t open_pieces = 0;  // waiting or under way
  bool whole_only = false;      // the server ignores ranges
  bool restart = false;         // once its open pieces are over: forget all, fetch it whole

  // Where the hub last sent us for the content. Its signature expires, so it is dropped when the
  // storage host refuses it.
  std::string location() const {
    const std::lock_guard guard(mutex);
    return located;
  }
  void set_location(std::string url) {
    const std::lock_guard guard(mutex);
    located = std::move(url);
  }

 private:
  mutable std::mutex mutex;
  std::string located;
};

// Locks the blob and opens its partial file; null when the blob is there by then.
Result<std::unique_ptr<BlobTask>> open_blob_task(const RepoCache& cache, const RemoteFile& file,
                                                 const Stop& stop);

// Checks the complete file's digest and moves it to its blob. Corrupt on another digest.
Status finish_blob(BlobTask& task, const RepoCache& cache, const Stop& stop);

}  // namespace millrace::hub
