#include "hub/repo_api.h"

#include <algorithm>

#include "hub/checksum.h"
#include "hub/retry.h"
#include "hub/text.h"

namespace millrace::hub {
namespace {

constexpr std::size_t kMostAnswerBytes = 64u << 20;
constexpr int kMostPages = 400;

struct Answer {
  HttpResponse response;
  std::string body;
};

// A 2xx answer, or one with a status in `also`; anything else after the retries is the error.
Result<Answer> ask(Connection& connection, const HubOptions& options, const std::string& repo,
                   const std::string& what, const HttpRequest& request, const Stop& stop,
                   std::initializer_list<long> also = {}) {
  Backoff backoff(options.retry);
  for (;;) {
    TextSink sink(kMostAnswerBytes);
    auto response = connection.send(request, &sink);
    Failure failure;
    if (response) {
      const bool redirect = response->status >= 300 && response->status < 400 && request.head;
      if (response->ok() || redirect ||
          std::find(also.begin(), also.end(), response->status) != also.end())
        return Answer{std::move(*response), sink.text()};
      failure = status_failure(*response, options, repo, what);
    } else {
      failure = std::move(response).error();
      if (failure.error.code != ErrorCode::Cancelled)
        failure.error.message = what + ": " + failure.error.message;
    }
    MILLRACE_TRY(backoff.wait(failure, stop));
  }
}

std::string api_url(const HubOptions& options, const std::string& repo, std::string_view call,
                    const std::string& revision) {
  return fmt::format("{}/api/models/{}/{}/{}", options.endpoint, url_encode(repo, true), call,
                     url_encode(revision, false));
}

}  // namespace

std::string resolve_url(const HubOptions& options, const std::string& repo,
                        const std::string& commit, const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", options.endpoint, url_encode(repo, true), commit,
                     url_encode(path, true));
}

std::string next_link(std::string_view header) {
  // <url>; rel="next", <url>; rel="last"
  while (!header.empty()) {
    const auto open = header.find('<');
    if (open == header.npos) break;
    const auto close = header.find('>', open);
    if (close == header.npos) break;
    const auto end = std::min(header.find(',', close), header.size());
    const std::string_view parameters = header.substr(close + 1, end - close - 1);
    if (parameters.find("rel=\"next\"") != parameters.npos ||
        parameters.find("rel=next") != parameters.npos)
      return std::string(header.substr(open + 1, close - open - 1));
    header.remove_prefix(end);
  }
  return {};
}

Result<RepoListing> list_repo(Connection& connection, const HubOptions& options,
                              const ModelRef& ref, const Stop& stop) {
  const std::string what =
      ref.revision == "main" ? ref.repo : fmt::format("{}@{}", ref.repo, ref.revision);
  const Answer described =
      MILLRACE_TRY(ask(connection, options, ref.repo, what,
                       {api_url(options, ref.repo, "revision", ref.revision)}, stop));
  Revision revision = MILLRACE_TRY(parse_revision(described.body, what));

  RepoListing listing{revision.commit, {}};
  std::string url = api_url(options, ref.repo, "tree", revision.commit) + "?recursive=true";
  for (int pages = 0; !url.empty(); ++pages) {
    if (pages == kMostPages)
      return fail(ErrorCode::TooLarge, "{}: a list of files of more than {} pages", what,
                  kMostPages);
    const Answer page =
        MILLRACE_TRY(ask(connection, options, ref.repo, what, {url}, stop, {404, 405, 501}));
    if (!page.response.ok()) {
      if (pages > 0 || revision.paths.empty())
        return tl::unexpected(status_failure(page.response, options, ref.repo, what).error);
      for (std::string& path : revision.paths) listing.files.push_back({std::move(path)});
      break;
    }
    MILLRACE_TRY(parse_file_page(page.body, what, listing.files));
    const std::string* link = page.response.header("link");
    url = link == nullptr ? "" : next_link(*link);
    if (!url.empty() && origin_of(url) != origin_of(options.endpoint))
      return fail(ErrorCode::Corrupt, "{}: the list of files goes on at '{}', expected the hub",
                  what, origin_of(url).value_or("no address"));
  }
  MILLRACE_TRY(check_distinct(listing.files, what));
  return listing;
}

Status describe_files(Connection& connection, const HubOptions& options, const std::string& repo,
                      const std::string& commit, std::vector<RemoteFile>& files, const Stop& stop) {
  for (RemoteFile& file : files) {
    if (!file.etag.empty()) continue;
    const std::string what = fmt::format("{}: {}", repo, file.path);
    const Answer answer = MILLRACE_TRY(
        ask(connection, options, repo, what,
            {.url = resolve_url(options, repo, commit, file.path), .head = true}, stop));
    const HttpResponse& response = answer.response;
    const std::string* etag = response.header("etag");
    const std::string* length = response.ok() ? response.header("content-length") : nullptr;
    file.etag = normal_etag(!response.linked_etag.empty() ? response.linked_etag
                            : etag != nullptr             ? *etag
                                                          : "");
    MILLRACE_TRY(digest_kind(file.etag, what));
    const auto size = parse_unsigned(!response.linked_size.empty() ? response.linked_size
                                     : length != nullptr           ? *length
                                                                   : "");
    if (!size || *size > kLargestFile)
      return fail(ErrorCode::Corrupt, "{}: the hub gives no size for it", what);
    if (!response.repo_commit.empty() && response.repo_commit != commit)
      return fail(ErrorCode::Corrupt, "{}: the hub answers for commit '{}', expected {}", what,
                  printable(response.repo_commit), commit);
    file.size = *size;
  }
  return {};
}

}  // namespace millrace::hub
