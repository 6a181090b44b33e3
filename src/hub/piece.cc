#include "hub/piece.h"

#include "hub/repo_api.h"
#include "hub/retry.h"
#include "hub/text.h"

namespace millrace::hub {
namespace {

// Checks an answer's headers against what was asked, then writes its body in place.
class PieceSink : public BodySink {
 public:
  PieceSink(BlobTask& task, ByteRange piece, bool ranged, const PieceSource& source)
      : task_(task), piece_(piece), ranged_(ranged), source_(source) {}

  Status begin(const HttpResponse& response) override {
    MILLRACE_TRY(check_hub_headers(response));
    if (ranged_ && response.status == 200) {
      range_ignored_ = true;
      return fail(ErrorCode::Unavailable, "the server ignores ranges");
    }
    if (response.status != (ranged_ ? 206 : 200))
      return fail(ErrorCode::Corrupt, "found HTTP {}, expected {}", response.status,
                  ranged_ ? 206 : 200);
    if (ranged_) {
      const std::string* header = response.header("content-range");
      const auto found = header == nullptr ? std::nullopt : parse_content_range(*header);
      if (!found || found->range != piece_ || found->size != task_.file.size)
        return fail(ErrorCode::Corrupt, "Content-Range: found '{}', expected 'bytes {}-{}/{}'",
                    header == nullptr ? "nothing" : printable(*header), piece_.begin,
                    piece_.end - 1, task_.file.size);
    }
    const std::string* length = response.header("content-length");
    if (length != nullptr && parse_unsigned(*length) != piece_.size())
      return fail(ErrorCode::Corrupt, "Content-Length: found '{}', expected {}", printable(*length),
                  piece_.size());
    return {};
  }

  Status write(std::string_view bytes) override {
    if (bytes.size() > piece_.size() - written_)
      return fail(ErrorCode::Corrupt, "a body longer than the {} bytes asked for", piece_.size());
    MILLRACE_TRY(task_.partial->write(piece_.begin + written_, bytes));
    written_ += bytes.size();
    source_.advance(bytes.size());
    return {};
  }

  std::uint64_t written() const { return written_; }
  bool range_ignored() const { return range_ignored_; }

 private:
  // What the hub said before it redirected must be the file that its listing named.
  Status check_hub_headers(const HttpResponse& response) const {
    const auto differs = [](std::string_view name, std::string_view found,
                            std::string_view wanted) {
      return fail(ErrorCode::Corrupt, "{}: found '{}', expected '{}'", name, printable(found),
                  wanted);
    };
    const std::string etag = normal_etag(response.linked_etag);
    if (!etag.empty() && etag != task_.file.etag)
      return differs("X-Linked-Etag", etag, task_.file.etag);
    if (!response.linked_size.empty() && parse_unsigned(response.linked_size) != task_.file.size)
      return differs("X-Linked-Size", response.linked_size, fmt::format("{}", task_.file.size));
    if (!response.repo_commit.empty() && response.repo_commit != source_.commit)
      return differs("X-Repo-Commit", response.repo_commit, source_.commit);
    return {};
  }

  BlobTask& task_;
  const ByteRange piece_;
  const bool ranged_;
  const PieceSource& source_;
  std::uint64_t written_ = 0;
  bool range_ignored_ = false;
};

}  // namespace

std::optional<ContentRange> parse_content_range(std::string_view header) {
  constexpr std::string_view kUnit = "bytes ";
  if (!header.starts_with(kUnit)) return std::nullopt;
  header.remove_prefix(kUnit.size());
  const auto dash = header.find('-');
  const auto slash = header.find('/');
  if (dash == header.npos || slash == header.npos || dash > slash) return std::nullopt;
  const auto first = parse_unsigned(header.substr(0, dash));
  const auto last = parse_unsigned(header.substr(dash + 1, slash - dash - 1));
  const auto size = parse_unsigned(header.substr(slash + 1));
  if (!first || !last || !size || *last < *first || *last >= *size) return std::nullopt;
  return ContentRange{{*first, *last + 1}, *size};
}

Result<PieceOutcome> fetch_piece(Connection& connection, BlobTask& task, ByteRange piece,
                                 const PieceSource& source, const Stop& stop) {
  const std::string what = fmt::format("{}: {}", source.repo, task.file.path);
  const std::string hub_url = resolve_url(source.hub, source.repo, source.commit, task.file.path);
  const std::uint64_t size = task.file.size;
  Backoff backoff(source.hub.retry);
  while (piece.begin < piece.end) {
    const bool ranged = !task.whole_only && piece.size() != size;
    const std::string located = task.location();
    PieceSink sink(task, piece, ranged, source);
    HttpRequest request{.url = located.empty() ? hub_url : located};
    if (ranged) request.range = piece;
    auto response = connection.send(request, &sink);

    if (sink.range_ignored()) return PieceOutcome::RangeIgnored;
    if (task.whole_only) {
      if (response && response->ok() && sink.written() == size) return PieceOutcome::Done;
      MILLRACE_TRY(task.partial->reset());
    } else {
      piece.begin += sink.written();
      if (sink.written() > 0) {
        backoff.progressed();
        task.partial->checkpoint();
      }
    }
    Failure failure;
    if (response && response->ok()) {
      if (response->url != hub_url) task.set_location(response->url);
      if (piece.begin == piece.end) break;
      failure = {{ErrorCode::Corrupt,
                  fmt::format("{}: a body of {} bytes, expected {}", what, sink.written(),
                              piece.size() + (task.whole_only ? 0 : sink.written()))},
                 true};
    } else if (response) {
      failure = status_failure(*response, source.hub, source.repo, what);
      if (response->status == 416)
        failure.error = {ErrorCode::Corrupt,
                         fmt::format("{}: HTTP 416 for bytes {}-{} of {}: the server has another "
                                     "size",
                                     what, piece.begin, piece.end - 1, size)};
    } else {
      failure = response.error();
      if (failure.error.code != ErrorCode::Cancelled)
        failure.error.message = fmt::format("{}: {}", what, failure.error.message);
    }
    // A signed address that no longer serves: ask the hub for another.
    if (!located.empty() && failure.error.code != ErrorCode::Cancelled &&
        !(response && response->ok())) {
      task.set_location({});
      failure.transient = failure.transient || response.has_value();
    }
    MILLRACE_TRY(backoff.wait(failure, stop));
  }
  return PieceOutcome::Done;
}

}  // namespace millrace::hub
