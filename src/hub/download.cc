#include "hub/download.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/progress.h"
#include "base/units.h"
#include "hub/blob_task.h"
#include "hub/piece.h"

namespace millrace::hub {
namespace {

using Lock = std::unique_lock<std::mutex>;

// A queue of pieces over all blobs, taken by one thread per connection. Whoever ends a blob's last
// piece verifies it while the others go on with the next blobs.
class Downloader {
 public:
  Downloader(const HubOptions& hub, const DownloadOptions& options, const std::string& repo,
             const std::string& commit, const RepoCache& cache, Stop& stop)
      : hub_(hub),
        options_(options),
        repo_(repo),
        commit_(commit),
        cache_(cache),
        stop_(stop),
        progress_(repo, 0),
        advance_([this](std::uint64_t bytes) { progress_.advance(bytes); }) {}

  Status run(const std::vector<RemoteFile>& files);

 private:
  struct Piece {
    BlobTask* task;
    ByteRange range;
  };

  Status check_disk_space(std::uint64_t missing) const;
  std::size_t enqueue(BlobTask& task);  // with mutex_ held; the number of pieces
  void work();
  std::optional<Piece> next();
  Status run_piece(Connection& connection, const Piece& piece);
  Status end_piece(BlobTask& task, PieceOutcome outcome);
  void fail_all(const Error& error);

  const HubOptions& hub_;
  const DownloadOptions& options_;
  const std::string& repo_;
  const std::string& commit_;
  const RepoCache& cache_;
  Stop& stop_;
  Progress progress_;
  const std::function<void(std::uint64_t)> advance_;
  std::vector<std::unique_ptr<BlobTask>> tasks_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Piece> queue_;
  std::size_t under_way_ = 0;  // pieces taken and not ended, verification included
  std::optional<Error> error_;
};

Status Downloader::check_disk_space(std::uint64_t missing) const {
  std::error_code error;
  const auto space = std::filesystem::space(cache_.blobs_folder(), error);
  if (!error && space.available < missing)
    return fail(ErrorCode::TooLarge, "{}: {} to download, {} free in {}", repo_,
                format_bytes(missing), format_bytes(space.available),
                cache_.blobs_folder().string());
  return {};
}

std::size_t Downloader::enqueue(BlobTask& task) {
  std::vector<ByteRange> pieces;
  if (task.whole_only)
    pieces = {{0, task.file.size}};
  else
    pieces = task.partial->gaps(options_.piece_bytes);
  // A complete (or empty) file still passes through the queue once: to be verified.
  if (pieces.empty()) pieces = {{0, 0}};
  for (const ByteRange& range : pieces) queue_.push_back({&task, range});
  task.open_pieces = pieces.size();
  return pieces.size();
}

Status Downloader::run(const std::vector<RemoteFile>& files) {
  for (const RemoteFile& file : files) {
    auto task = MILLRACE_TRY(open_blob_task(cache_, file, stop_));
    if (task != nullptr) tasks_.push_back(std::move(task));
  }
  if (tasks_.empty()) return {};
  // Small files first: config and tokenizer are there when the long part begins.
  std::sort(tasks_.begin(), tasks_.end(),
            [](const auto& a, const auto& b) { return a->file.size < b->file.size; });
  std::uint64_t missing = 0;
  std::size_t pieces = 0;
  for (const auto& task : tasks_) {
    missing += task->file.size - task->partial->done_bytes();
    pieces += enqueue(*task);
  }
  MILLRACE_TRY(check_disk_space(missing));
  progress_.set_total(missing);
  {
    std::vector<std::jthread> threads;
    const std::size_t count = std::clamp<std::size_t>(
        static_cast<std::size_t>(std::max(options_.connections, 1)), 1, pieces);
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
  }
  if (stop_.by_user()) return fail(ErrorCode::Cancelled, "stopped");
  if (error_) return tl::unexpected(*error_);
  return {};
}

void Downloader::work() {
  try {
    Connection connection(hub_, stop_);
    while (const auto piece = next()) {
      const Status status = run_piece(connection, *piece);
      if (!status) fail_all(status.error());
      const Lock lock(mutex_);
      --under_way_;
      changed_.notify_all();
    }
  } catch (const std::exception& e) {
    fail_all({ErrorCode::TooLarge, fmt::format("{}: {}", repo_, e.what())});
  }
}

std::optional<Downloader::Piece> Downloader::next() {
  Lock lock(mutex_);
  for (;;) {
    if (stop_.raised()) return std::nullopt;
    if (!queue_.empty()) {
      const Piece piece = queue_.front();
      queue_.pop_front();
      ++under_way_;
      return piece;
    }
    if (under_way_ == 0) return std::nullopt;
    // A blob may have to be fetched again: stay until the last one is verified. The user's flag
    // wakes nobody, so look at it now and then.
    changed_.wait_for(lock, std::chrono::milliseconds(100));
  }
}

Status Downloader::run_piece(Connection& connection, const Piece& piece) {
  BlobTask& task = *piece.task;
  PieceOutcome outcome = PieceOutcome::Done;
  if (piece.range.size() > 0)
    outcome = MILLRACE_TRY(
        fetch_piece(connection, task, piece.range, {hub_, repo_, commit_, advance_}, stop_));
  return end_piece(task, outcome);
}

Status Downloader::end_piece(BlobTask& task, PieceOutcome outcome) {
  {
    const Lock lock(mutex_);
    if (outcome == PieceOutcome::RangeIgnored && !task.restart) {
      task.restart = true;
      const auto waiting = std::remove_if(queue_.begin(), queue_.end(),
                                          [&](const Piece& p) { return p.task == &task; });
      task.open_pieces -= static_cast<std::size_t>(queue_.end() - waiting);
      queue_.erase(waiting, queue_.end());
    }
    if (--task.open_pieces > 0) return {};
    if (task.restart) {
      MILLRACE_TRY(task.partial->reset());
      task.restart = false;
      task.whole_only = true;
      enqueue(task);
      changed_.notify_all();
      return {};
    }
  }
  // The last piece: nobody else touches the task now.
  const bool resumed = task.partial->resumed();
  const Status finished = finish_blob(task, cache_, stop_);
  if (finished) return {};
  const Error& error = finished.error();
  if (error.code != ErrorCode::Corrupt)
    return error.code == ErrorCode::Cancelled ? finished : fail_in(repo_, error);
  if (!resumed) {
    task.partial->discard();
    return fail(error.code, "{}: {}: {}", repo_, task.file.path, error.message);
  }
  // What an earlier download left may be to blame: once more, from the start.
  MILLRACE_TRY(task.partial->reset());
  const Lock lock(mutex_);
  enqueue(task);
  changed_.notify_all();
  return {};
}

void Downloader::fail_all(const Error& error) {
  const Lock lock(mutex_);
  if (!error_ && error.code != ErrorCode::Cancelled) error_ = error;
  stop_.raise();
  changed_.notify_all();
}

}  // namespace

Status download_blobs(const HubOptions& hub, const DownloadOptions& options,
                      const std::string& repo, const std::string& commit, const RepoCache& cache,
                      std::vector<RemoteFile> files, Stop& stop) {
  MILLRACE_TRY(cache.create());
  // One order for all processes, so that none waits for another in a circle; equal contents once.
  std::sort(files.begin(), files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.etag < b.etag; });
  const auto twins = std::unique(files.begin(), files.end(),
                                 [](const auto& a, const auto& b) { return a.etag == b.etag; });
  files.erase(twins, files.end());
  std::erase_if(files, [&](const RemoteFile& file) { return cache.has_blob(file); });
  Downloader downloader(hub, options, repo, commit, cache, stop);
  return downloader.run(files);
}

}  // namespace millrace::hub
