#include "loadgen/records.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/json.h"
#include "base/mapped_file.h"
#include "loadgen/json_line.h"

namespace millrace::loadgen {
namespace {

// Microseconds are precise enough, and brief.
double rounded(double seconds) {
  return std::round(seconds * 1e6) / 1e6;
}

Json to_json(const ServerSample& sample) {
  return {{"at_s", rounded(sample.at_s)},
          {"resident_bytes", sample.resident_bytes},
          {"kv_usage", sample.kv_usage},
          {"running", sample.running},
          {"waiting", sample.waiting}};
}

double number(const Json& json, std::string_view key, double otherwise) {
  const Json* found = json_find(json, key);
  return found && found->is_number() ? found->get<double>() : otherwise;
}

}  // namespace

Json to_json(const RequestRecord& record) {
  Json json = {{"session", record.session},
               {"turn", record.turn},
               {"start_s", rounded(record.start_s)},
               {"first_s", rounded(record.first_s)},
               {"end_s", rounded(record.end_s)}};
  if (!record.ok()) json["error"] = record.error;
  json["prompt_tokens"] = record.prompt_tokens;
  json["cached_tokens"] = record.cached_tokens;
  json["completion_tokens"] = record.completion_tokens;
  Json gaps = Json::array();
  for (const double gap : record.gaps_s) gaps.push_back(rounded(gap));
  json["gaps_s"] = std::move(gaps);
  return json;
}

Result<RequestRecord> parse_request_record(const Json& json) {
  RequestRecord record;
  const auto session = MILLRACE_TRY(json_string(json, "session"));
  if (!session) return fail(ErrorCode::Corrupt, "session: is missing");
  record.session = *session;
  record.turn = MILLRACE_TRY(json_int(json, "turn", 0)).value_or(0);
  record.start_s = MILLRACE_TRY(json_number(json, "start_s")).value_or(0);
  record.first_s = MILLRACE_TRY(json_number(json, "first_s")).value_or(0);
  record.end_s = MILLRACE_TRY(json_number(json, "end_s")).value_or(0);
  record.prompt_tokens = MILLRACE_TRY(json_int(json, "prompt_tokens")).value_or(-1);
  record.cached_tokens = MILLRACE_TRY(json_int(json, "cached_tokens")).value_or(-1);
  record.completion_tokens = MILLRACE_TRY(json_int(json, "completion_tokens")).value_or(-1);
  record.error = MILLRACE_TRY(json_string(json, "error")).value_or("");
  if (const Json* gaps = json_find(json, "gaps_s"); gaps && gaps->is_array())
    for (const Json& gap : *gaps)
      if (gap.is_number()) record.gaps_s.push_back(gap.get<double>());
  return record;
}

Result<RecordFile> RecordFile::open(const std::string& path, const Json& header, bool resume) {
  RecordFile records;
  if (path.empty()) return records;
  std::error_code ignored;
  const bool there =
      std::filesystem::exists(path, ignored) && std::filesystem::file_size(path, ignored) > 0;
  const bool goes_on = resume && there;
  if (goes_on) {
    const MappedFile file = MILLRACE_TRY(MappedFile::open(path));
    std::string_view text = file.text();
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      // A line that was being written when the program ended is not JSON: it does not count.
      if (auto line = parse_json(text.substr(0, end), path)) records.lines_.push_back(*line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (records.lines_.empty() || records.lines_.front() != header)
      return fail(ErrorCode::InvalidArgument,
                  "{}: is of another benchmark (it begins with {}, this one with {}); give another "
                  "file, or leave out --resume",
                  path, records.lines_.empty() ? "nothing" : one_line(records.lines_.front()),
                  one_line(header));
  }
  records.file_.open(path, goes_on ? std::ios::app : std::ios::trunc);
  if (!records.file_) return fail(ErrorCode::InvalidArgument, "{}: cannot be written", path);
  if (goes_on)
    records.file_ << '\n';  // ends a line that was broken off
  else
    records.write(header);
  return records;
}

StageRecord RecordFile::take(const Load& load, const Workload& workload) {
  StageRecord stage{.load = load};
  std::map<std::string, std::size_t> turns;
  for (const Session& session : workload) turns[session.id] = session.turns.size();
  std::map<std::string, std::vector<RequestRecord>> sessions;
  for (const Json& line : lines_) {
    const auto label = json_string(line, "stage");
    if (!label || *label != load.label()) continue;
    if (const Json* request = json_find(line, "request")) {
      auto record = parse_request_record(*request);
      if (!record || !turns.contains(record->session)) continue;
      stage.duration_s = std::max(stage.duration_s, record->end_s);
      auto& of_session = sessions[record->session];
      if (record->turn == 0) of_session.clear();  // begun again after it was broken off
      of_session.push_back(std::move(*record));
    } else if (const Json* sample = json_find(line, "sample")) {
      stage.samples.push_back({.at_s = number(*sample, "at_s", 0),
                               .resident_bytes = number(*sample, "resident_bytes", -1),
                               .kv_usage = number(*sample, "kv_usage", -1),
                               .running = number(*sample, "running", -1),
                               .waiting = number(*sample, "waiting", -1)});
    } else {
      stage.duration_s = std::max(stage.duration_s, number(line, "duration_s", 0));
    }
  }
  for (auto& [id, records] : sessions) {
    // A failed turn ends its session.
    if (records.size() != turns[id] && records.back().ok()) continue;
    for (RequestRecord& record : records) stage.requests.push_back(std::move(record));
  }
  std::sort(stage.requests.begin(), stage.requests.end(),
            [](const auto& a, const auto& b) { return a.end_s < b.end_s; });
  return stage;
}

void RecordFile::write(const Json& line) {
  if (!file_.is_open()) return;
  file_ << one_line(line) << '\n';
  file_.flush();
}

void RecordFile::add(const Load& load, const RequestRecord& record) {
  write({{"stage", load.label()}, {"request", to_json(record)}});
}

void RecordFile::add(const Load& load, const ServerSample& sample) {
  write({{"stage", load.label()}, {"sample", to_json(sample)}});
}

void RecordFile::add_duration(const Load& load, double seconds) {
  write({{"stage", load.label()}, {"duration_s", seconds}});
}

}  // namespace millrace::loadgen
