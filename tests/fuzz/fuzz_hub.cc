// Everything the hub room parses, chosen by the first byte: model names, the hub's listings,
// headers, the list of an interrupted download.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "hub/byte_ranges.h"
#include "hub/model_ref.h"
#include "hub/piece.h"
#include "hub/remote_file.h"
#include "hub/repo_api.h"
#include "hub/select.h"
#include "hub/text.h"
#include "hub/transport.h"

namespace {

using namespace millrace;
using namespace millrace::hub;

void fuzz_listing(std::string_view text) {
  std::vector<RemoteFile> files;
  if (!parse_file_page(text, "fuzz", files) || !check_distinct(files, "fuzz")) return;
  for (const RemoteFile& file : files) {
    check(check_file_path(file.path).has_value(), "a hostile path came through");
    check(file.etag.size() == 40 || file.etag.size() == 64, "a digest of another length");
  }
  for (const char* ref : {"a/b", "a/b:Q4_0"})
    if (const auto selection = select_files(files, *parse_model_ref(ref), {}))
      check(!selection->files.empty() && selection->files.size() <= files.size(),
            "a selection out of nothing");
}

void fuzz_ranges(std::string_view text) {
  constexpr std::uint64_t kSize = 1000;
  const auto ranges = ByteRanges::from_text(text, kSize);
  if (!ranges) return;
  std::uint64_t missing = 0;
  for (const ByteRange gap : ranges->gaps(kSize, 64)) missing += gap.size();
  check(ranges->total() + missing == kSize, "bytes are neither there nor missing");
  check(ByteRanges::from_text(ranges->to_text(kSize), kSize)->ranges() == ranges->ranges(),
        "a list does not survive being written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      if (const auto ref = parse_model_ref(text)) {
        const auto again = parse_model_ref(ref->text());
        check(again && again->text() == ref->text(), "a name does not survive being written");
      }
      break;
    case 1:
      fuzz_listing(text);
      break;
    case 2:
      if (const auto revision = parse_revision(text, "fuzz"))
        check(is_commit(revision->commit), "a commit that is none");
      break;
    case 3:
      fuzz_ranges(text);
      break;
    case 4:
      if (const auto range = parse_content_range(text))
        check(range->range.begin < range->range.end && range->range.end <= range->size,
              "a range outside its file");
      break;
    default:
      static_cast<void>(next_link(text));
      static_cast<void>(normal_etag(text));
      static_cast<void>(origin_of(std::string(text)));
  }
  return 0;
}
