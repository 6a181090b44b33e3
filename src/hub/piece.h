// Fetches one byte range of a blob, across dropped connections.
#pragma once

#include <functional>
#include <string>

#include "hub/blob_task.h"
#include "hub/options.h"
#include "hub/transport.h"

namespace millrace::hub {

enum class PieceOutcome {
  Done,
  RangeIgnored,  // the server sends whole files alone; nothing was written
};

struct PieceSource {
  const HubOptions& hub;
  const std::string& repo;
  const std::string& commit;
  // Called with the count of bytes after each write.
  const std::function<void(std::uint64_t)>& advance;
};

// Writes [piece.begin, piece.end) of the task's partial file, going on where a dropped connection
// left off. With task.whole_only the piece is the whole file, asked for without a range, and each
// attempt begins anew. Errors name the repository and file.
Result<PieceOutcome> fetch_piece(Connection& connection, BlobTask& task, ByteRange piece,
                                 const PieceSource& source, const Stop& stop);

// "bytes 0-99/1000" as [0, 100) of 1000. nullopt for anything else.
struct ContentRange {
  ByteRange range;
  std::uint64_t size = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view header);

}  // namespace millrace::hub
