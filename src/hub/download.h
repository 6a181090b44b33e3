// Brings files of one commit into the cache's blobs: several connections, resumed, verified.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/cache_layout.h"
#include "hub/options.h"
#include "hub/remote_file.h"
#include "hub/stop.h"

namespace millrace::hub {

struct DownloadOptions {
  int connections = 8;
  std::uint64_t piece_bytes = std::uint64_t{64} << 20;
};

// After success every file's blob is in the cache with its size and digest checked. After an
// error, or when stopped (Cancelled), what came is kept for the next call, except what failed its
// digest. Each missing blob is locked meanwhile, in order of their names; a blob that another
// process finishes while we wait for its lock is taken as it is.
Status download_blobs(const HubOptions& hub, const DownloadOptions& options,
                      const std::string& repo, const std::string& commit, const RepoCache& cache,
                      std::vector<RemoteFile> files, Stop& stop);

}  // namespace millrace::hub
