// The two digests a hub knows files by.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "hub/stop.h"

namespace millrace::hub {

enum class DigestKind {
  Sha256,   // large files: SHA-256 of the content, 64 hex digits
  GitBlob,  // small files: SHA-1 of "blob SIZE\0" and the content, 40 hex digits
};

// Which digest an ETag of the hub is, by its length; an error that names `what` if it is neither.
Result<DigestKind> digest_kind(const std::string& etag, const std::string& what);

// Lower-case hex of the first `size` bytes behind `fd` (read by pread). Corrupt when the file is
// shorter; Cancelled when `stop` is raised meanwhile.
Result<std::string> digest_file(int fd, std::uint64_t size, DigestKind kind, const Stop& stop);

}  // namespace millrace::hub
