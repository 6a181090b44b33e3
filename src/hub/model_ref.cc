#include "hub/model_ref.h"

#include <algorithm>

#include "hub/text.h"

namespace millrace {
namespace {

constexpr std::size_t kLongestName = 96;  // the hub's own limit for ORG/NAME
constexpr std::size_t kLongestRevision = 200;

bool is_name_char(char c) {
  return hub::is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
}

// The hub's rules. "--" is refused there because the cache writes '/' as "--".
bool is_repo_part(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), is_name_char) &&
         part.front() != '-' && part.front() != '.' && part.back() != '-' && part.back() != '.' &&
         part.find("--") == part.npos && part.find("..") == part.npos;
}

// A git reference name, without the characters git refuses too.
bool is_revision(std::string_view revision) {
  if (revision.empty() || revision.size() > kLongestRevision) return false;
  std::size_t begin = 0;
  while (begin <= revision.size()) {
    const std::size_t end = std::min(revision.find('/', begin), revision.size());
    const std::string_view part = revision.substr(begin, end - begin);
    const auto allowed = [](char c) { return is_name_char(c) || c == '+' || c == '='; };
    if (part.empty() || part.front() == '.' || part.front() == '-' ||
        part.find("..") != part.npos || !std::all_of(part.begin(), part.end(), allowed))
      return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

std::string ModelRef::text() const {
  std::string text = repo;
  if (revision != "main") text += "@" + revision;
  if (!quant.empty()) text += ":" + quant;
  return text;
}

Result<ModelRef> parse_model_ref(std::string_view text) {
  const std::string shown = hub::printable(text);
  ModelRef ref;
  std::string_view rest = text;
  if (const auto colon = rest.find(':'); colon != rest.npos) {
    const std::string_view quant = rest.substr(colon + 1);
    if (quant.empty() || quant.size() > 64 ||
        !std::all_of(quant.begin(), quant.end(), is_name_char))
      return fail(ErrorCode::InvalidArgument,
                  "'{}': found ':{}', expected a quantization such as ':Q4_0'", shown,
                  hub::printable(quant));
    ref.quant = quant;
    rest = rest.substr(0, colon);
  }
  if (const auto at = rest.find('@'); at != rest.npos) {
    const std::string_view revision = rest.substr(at + 1);
    if (!is_revision(revision))
      return fail(ErrorCode::InvalidArgument,
                  "'{}': found '@{}', expected a branch, a tag or a commit", shown,
                  hub::printable(revision));
    ref.revision = revision;
    rest = rest.substr(0, at);
  }
  const auto slash = rest.find('/');
  if (slash == rest.npos || rest.size() > kLongestName || !is_repo_part(rest.substr(0, slash)) ||
      !is_repo_part(rest.substr(slash + 1)))
    return fail(ErrorCode::InvalidArgument,
                "'{}': not a model on a hub, expected ORG/NAME[@REVISION][:QUANT]", shown);
  ref.repo = rest;
  return ref;
}

bool is_commit(std::string_view revision) {
  return revision.size() == 40 && hub::is_lower_hex(revision);
}

}  // namespace millrace
