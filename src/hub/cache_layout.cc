#include "hub/cache_layout.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <system_error>

#include "hub/model_ref.h"
#include "hub/text.h"

namespace millrace::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepestFolder = 16;

tl::unexpected<Error> cannot(std::string_view what, const fs::path& path,
                             const std::error_code& error) {
  const ErrorCode code =
      error == std::errc::no_space_on_device ? ErrorCode::TooLarge : ErrorCode::Unavailable;
  return fail(code, "{}: cannot {}: {}", path.string(), what, error.message());
}

// A name beside `path` that no other thread or process uses.
fs::path beside(const fs::path& path) {
  static std::atomic<unsigned> count = 0;
  return path.parent_path() /
         fmt::format(".{}.{}.{}.tmp", path.filename().string(), ::getpid(), count.fetch_add(1));
}

Status make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return cannot("make the folder", path, error);
  return {};
}

bool has_size(const fs::path& path, std::uint64_t size) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  const std::uint64_t found = fs::file_size(path, error);
  return !error && found == size;
}

}  // namespace

Status write_atomically(const fs::path& path, std::string_view text) {
  const fs::path temporary = beside(path);
  std::error_code error;
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) {
      const std::error_code reason(errno, std::generic_category());
      fs::remove(temporary, error);
      return cannot("write", path, reason);
    }
  }
  fs::rename(temporary, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return cannot("write", path, error);
  }
  return {};
}

RepoCache::RepoCache(const fs::path& cache, const std::string& repo) {
  std::string folder = "models--" + repo;
  folder.replace(folder.find('/'), 1, "--");
  root_ = cache / folder;
  locks_ = cache / ".locks" / folder;
}

fs::path RepoCache::blob(const std::string& etag) const {
  return root_ / "blobs" / etag;
}

fs::path RepoCache::partial(const std::string& etag) const {
  return root_ / "blobs" / (etag + ".millrace.incomplete");
}

fs::path RepoCache::partial_ranges(const std::string& etag) const {
  return root_ / "blobs" / (etag + ".millrace.ranges");
}

fs::path RepoCache::foreign_partial(const std::string& etag) const {
  return root_ / "blobs" / (etag + ".incomplete");
}

fs::path RepoCache::lock(const std::string& etag) const {
  return locks_ / (etag + ".lock");
}

fs::path RepoCache::snapshot(const std::string& commit) const {
  return root_ / "snapshots" / commit;
}

Status RepoCache::create() const {
  MILLRACE_TRY(make_folders(root_ / "blobs"));
  MILLRACE_TRY(make_folders(root_ / "snapshots"));
  MILLRACE_TRY(make_folders(root_ / "refs"));
  return make_folders(locks_);
}

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  std::ifstream in(root_ / "refs" / revision, std::ios::binary);
  std::array<char, 64> text{};
  in.read(text.data(), text.size());
  const std::string_view commit = trim({text.data(), static_cast<std::size_t>(in.gcount())});
  return is_commit(commit) ? std::optional<std::string>(commit) : std::nullopt;
}

Status RepoCache::write_ref(const std::string& revision, const std::string& commit) const {
  if (revision == commit || commit_of(revision) == commit) return {};
  const fs::path path = root_ / "refs" / revision;
  MILLRACE_TRY(make_folders(path.parent_path()));
  return write_atomically(path, commit);
}

bool RepoCache::has_blob(const RemoteFile& file) const {
  return has_size(blob(file.etag), file.size);
}

Status RepoCache::link(const std::string& commit, const RemoteFile& file) const {
  const fs::path path = snapshot(commit) / file.path;
  fs::path target = "../..";
  for (const char c : file.path)
    if (c == '/') target /= "..";
  target = target / "blobs" / file.etag;
  std::error_code error;
  if (fs::read_symlink(path, error) == target) return {};
  MILLRACE_TRY(make_folders(path.parent_path()));
  const fs::path temporary = beside(path);
  fs::create_symlink(target, temporary, error);
  if (error == std::errc::operation_not_permitted || error == std::errc::not_supported ||
      error == std::errc::function_not_supported) {
    fs::copy_file(blob(file.etag), path, fs::copy_options::overwrite_existing, error);
    if (error) return cannot("copy the download to it", path, error);
    return {};
  }
  if (error) return cannot("make the link", path, error);
  fs::rename(temporary, path, error);
  if (error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return cannot("make the link", path, error);
  }
  return {};
}

std::vector<RemoteFile> RepoCache::snapshot_files(const std::string& commit) const {
  std::vector<RemoteFile> files;
  const fs::path folder = snapshot(commit);
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry.depth() >= kDeepestFolder) entry.disable_recursion_pending();
    std::error_code ignored;
    if (!entry->is_regular_file(ignored)) continue;  // follows links: dangling ones are left out
    const std::uint64_t size = entry->file_size(ignored);
    const std::string path = entry->path().lexically_relative(folder).generic_string();
    if (ignored || !check_file_path(path) || files.size() == kMostListed) continue;
    files.push_back({path, size, {}});
  }
  std::sort(files.begin(), files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace millrace::hub
