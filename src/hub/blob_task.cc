#include "hub/blob_task.h"

#include <algorithm>
#include <system_error>

namespace millrace::hub {
namespace {

namespace fs = std::filesystem;

// An ETAG.incomplete of an older huggingface_hub is the file's beginning: take it over.
Status adopt_foreign_partial(const RepoCache& cache, const RemoteFile& file) {
  const fs::path partial = cache.partial(file.etag);
  const fs::path foreign = cache.foreign_partial(file.etag);
  std::error_code error;
  if (fs::exists(partial, error) || fs::is_symlink(foreign, error) ||
      !fs::is_regular_file(foreign, error))
    return {};
  const std::uint64_t bytes = std::min<std::uint64_t>(fs::file_size(foreign, error), file.size);
  if (error || bytes == 0) return {};
  ByteRanges there;
  there.add({0, bytes});
  MILLRACE_TRY(write_atomically(cache.partial_ranges(file.etag), there.to_text(file.size)));
  fs::rename(foreign, partial, error);  // failing costs the head start alone
  return {};
}

}  // namespace

Result<std::unique_ptr<BlobTask>> open_blob_task(const RepoCache& cache, const RemoteFile& file,
                                                 const Stop& stop) {
  auto task = std::make_unique<BlobTask>();
  task->file = file;
  task->digest = MILLRACE_TRY(digest_kind(file.etag, file.path));
  task->lock = MILLRACE_TRY(FileLock::acquire(cache.lock(file.etag), stop));
  if (cache.has_blob(file)) return nullptr;
  MILLRACE_TRY(adopt_foreign_partial(cache, file));
  task->partial = MILLRACE_TRY(
      PartialFile::open(cache.partial(file.etag), cache.partial_ranges(file.etag), file.size));
  return task;
}

Status finish_blob(BlobTask& task, const RepoCache& cache, const Stop& stop) {
  const std::string found =
      MILLRACE_TRY(digest_file(task.partial->fd(), task.file.size, task.digest, stop));
  if (found != task.file.etag)
    return fail(ErrorCode::Corrupt, "{} is {}, expected {}: the download is damaged",
                task.digest == DigestKind::Sha256 ? "SHA-256" : "git hash", found, task.file.etag);
  MILLRACE_TRY(task.partial->finish(cache.blob(task.file.etag)));
  task.partial.reset();
  task.lock.reset();
  return {};
}

}  // namespace millrace::hub
