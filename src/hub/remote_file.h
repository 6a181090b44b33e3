// What a hub says about the files of a model, and whether to believe it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace millrace {

struct RemoteFile {
  std::string path;        // relative, '/' between folders
  std::uint64_t size = 0;  // bytes
  std::string etag;        // SHA-256 or git hash in hex; empty: it and the size are not known yet
};

namespace hub {

inline constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 44;  // 16 TiB
inline constexpr std::size_t kMostListed = 200'000;                    // files of one repository
inline constexpr std::size_t kMostChosen = 400;                        // files of one pull

// A path that stays inside the folder it is put into: relative, no empty, "." or ".." part, no
// control character, parts of at most 255 bytes, at most 1024 in all. Corrupt otherwise.
Status check_file_path(std::string_view path);

// One page of the hub's list of a commit's files (a JSON array), appended to `files`; folders are
// left out. `origin` names it in messages. Corrupt or TooLarge when it is not what it should be.
Status parse_file_page(std::string_view body, std::string_view origin,
                       std::vector<RemoteFile>& files);

// The names under "siblings" of the hub's description of a revision.
struct Revision {
  std::string commit;
  std::vector<std::string> paths;
};
Result<Revision> parse_revision(std::string_view body, std::string_view origin);

// Corrupt when two files have one path.
Status check_distinct(std::vector<RemoteFile>& files, std::string_view origin);

}  // namespace hub
}  // namespace millrace
