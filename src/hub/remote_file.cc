#include "hub/remote_file.h"

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "hub/checksum.h"
#include "hub/model_ref.h"
#include "hub/text.h"

namespace millrace::hub {
namespace {

constexpr int kDepth = 32;

Result<std::string> required_string(const Json& object, std::string_view key) {
  const auto value = MILLRACE_TRY(json_string(object, key));
  if (!value) return fail(ErrorCode::Corrupt, "{}: found nothing, expected a string", key);
  return *value;
}

Result<std::uint64_t> required_size(const Json& object) {
  const auto value =
      MILLRACE_TRY(json_int(object, "size", 0, static_cast<std::int64_t>(kLargestFile)));
  if (!value) return fail(ErrorCode::Corrupt, "size: found nothing, expected an integer");
  return static_cast<std::uint64_t>(*value);
}

Result<std::optional<RemoteFile>> parse_entry(const Json& entry) {
  if (!entry.is_object())
    return fail(ErrorCode::Corrupt, "found {}, expected an object", json_type_name(entry));
  const auto type = required_string(entry, "type");
  if (!type) return tl::unexpected(type.error());
  if (*type != "file") return std::nullopt;
  RemoteFile file;
  file.path = MILLRACE_TRY(required_string(entry, "path"));
  MILLRACE_TRY(check_file_path(file.path));
  if (const Json* lfs = json_find(entry, "lfs")) {
    if (!lfs->is_object())
      return fail(ErrorCode::Corrupt, "{}: lfs: found {}, expected an object", file.path,
                  json_type_name(*lfs));
    file.etag = MILLRACE_TRY(required_string(*lfs, "oid"));
    if (file.etag.starts_with("sha256:")) file.etag.erase(0, 7);
    file.size = MILLRACE_TRY(required_size(*lfs));
  } else {
    file.etag = MILLRACE_TRY(required_string(entry, "oid"));
    file.size = MILLRACE_TRY(required_size(entry));
  }
  MILLRACE_TRY(digest_kind(file.etag, file.path));
  return file;
}

}  // namespace

Status check_file_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::Corrupt, "the hub lists a file '{}': {}", printable(path), why);
  };
  if (path.empty() || path.size() > 1024) return refuse("its name is empty or too long");
  if (path.front() == '/') return refuse("an absolute path");
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return refuse("its name has a control character");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return refuse("it would leave its folder");
    if (part.size() > 255) return refuse("its name is too long");
    begin = end + 1;
  }
  return {};
}

Status parse_file_page(std::string_view body, std::string_view origin,
                       std::vector<RemoteFile>& files) {
  const Json page = MILLRACE_TRY(parse_json(body, origin, kDepth));
  if (!page.is_array())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an array of files", origin,
                json_type_name(page));
  for (const Json& entry : page) {
    auto file = parse_entry(entry);
    if (!file) return fail_in(origin, file.error());
    if (!*file) continue;
    if (files.size() == kMostListed)
      return fail(ErrorCode::TooLarge, "{}: more than {} files", origin, kMostListed);
    files.push_back(std::move(**file));
  }
  return {};
}

Result<Revision> parse_revision(std::string_view body, std::string_view origin) {
  const Json json = MILLRACE_TRY(parse_json(body, origin, kDepth));
  if (!json.is_object())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an object", origin,
                json_type_name(json));
  Revision revision;
  auto commit = required_string(json, "sha");
  if (!commit) return fail_in(origin, commit.error());
  if (!is_commit(*commit))
    return fail(ErrorCode::Corrupt, "{}: sha: found '{}', expected 40 hex digits", origin,
                printable(*commit));
  revision.commit = *commit;
  const Json* siblings = json_find(json, "siblings");
  if (siblings == nullptr) return revision;
  if (!siblings->is_array() || siblings->size() > kMostListed)
    return fail(ErrorCode::Corrupt, "{}: siblings: expected an array of at most {} files", origin,
                kMostListed);
  for (const Json& sibling : *siblings) {
    if (!sibling.is_object())
      return fail(ErrorCode::Corrupt, "{}: siblings: found {}, expected an object", origin,
                  json_type_name(sibling));
    auto path = required_string(sibling, "rfilename");
    if (!path) return fail_in(origin, path.error());
    if (const Status good = check_file_path(*path); !good) return fail_in(origin, good.error());
    revision.paths.push_back(std::move(*path));
  }
  return revision;
}

Status check_distinct(std::vector<RemoteFile>& files, std::string_view origin) {
  std::sort(files.begin(), files.end(),
            [](const RemoteFile& a, const RemoteFile& b) { return a.path < b.path; });
  const auto twice =
      std::adjacent_find(files.begin(), files.end(),
                         [](const RemoteFile& a, const RemoteFile& b) { return a.path == b.path; });
  if (twice != files.end())
    return fail(ErrorCode::Corrupt, "{}: lists the file '{}' twice", origin, twice->path);
  return {};
}

}  // namespace millrace::hub
