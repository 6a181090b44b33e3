// The hub's answers about a repository.
#pragma once

#include <string>
#include <vector>

#include "hub/model_ref.h"
#include "hub/remote_file.h"
#include "hub/transport.h"

namespace millrace::hub {

struct RepoListing {
  std::string commit;
  std::vector<RemoteFile> files;  // sorted by path, distinct, paths checked
};

// Asks for the revision's commit and for its files with sizes and digests. A hub that has no
// listing of files (a plain mirror) gives names alone. Retries by the options.
Result<RepoListing> list_repo(Connection& connection, const HubOptions& options,
                              const ModelRef& ref, const Stop& stop);

// Fills in the size and digest of the files that lack them, by a HEAD request each.
Status describe_files(Connection& connection, const HubOptions& options, const std::string& repo,
                      const std::string& commit, std::vector<RemoteFile>& files, const Stop& stop);

// Where a file's content is asked for.
std::string resolve_url(const HubOptions& options, const std::string& repo,
                        const std::string& commit, const std::string& path);

// The target of rel="next" in a Link header; empty: none.
std::string next_link(std::string_view header);

}  // namespace millrace::hub
