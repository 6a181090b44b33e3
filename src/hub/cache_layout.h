// The folder that Python's huggingface_hub keeps models in, so that both share files:
//   CACHE/models--ORG--NAME/blobs/ETAG                      contents, named by their digest
//                          /snapshots/COMMIT/FILE           links: ../../blobs/ETAG
//                          /refs/REVISION                   the commit a branch or tag last was
//   CACHE/.locks/models--ORG--NAME/ETAG.lock                held while a blob is written
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/remote_file.h"

namespace millrace::hub {

class RepoCache {
 public:
  // `repo` is a checked "ORG/NAME".
  RepoCache(const std::filesystem::path& cache, const std::string& repo);

  std::filesystem::path blob(const std::string& etag) const;
  // Our unfinished download of it, and which of its bytes are there. The name differs from the
  // ETAG.incomplete of older clients on purpose: those would append to a file with holes.
  std::filesystem::path partial(const std::string& etag) const;
  std::filesystem::path partial_ranges(const std::string& etag) const;
  std::filesystem::path foreign_partial(const std::string& etag) const;
  std::filesystem::path lock(const std::string& etag) const;
  std::filesystem::path snapshot(const std::string& commit) const;
  std::filesystem::path blobs_folder() const { return root_ / "blobs"; }

  // Makes the folders that downloads write to.
  Status create() const;

  // A commit as it is, a branch or tag through refs/; nullopt when not known.
  std::optional<std::string> commit_of(const std::string& revision) const;
  Status write_ref(const std::string& revision, const std::string& commit) const;

  // Whether the blob is there with that size.
  bool has_blob(const RemoteFile& file) const;

  // Links snapshots/COMMIT/PATH to its blob, replacing what is there. Where the file system has no
  // links the blob is copied.
  Status link(const std::string& commit, const RemoteFile& file) const;

  // The files of a snapshot whose content is there, sorted by path; sizes known, no digests.
  std::vector<RemoteFile> snapshot_files(const std::string& commit) const;

 private:
  std::filesystem::path root_;
  std::filesystem::path locks_;
};

// Replaces the file's content at once: readers see the old or the new text.
Status write_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace millrace::hub
