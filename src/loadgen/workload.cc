#include "loadgen/workload.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/mapped_file.h"
#include "loadgen/json_line.h"

namespace millrace::loadgen {
namespace {

Json to_json(const Turn& turn, std::int64_t index) {
  Json json = Json::object();
  if (!turn.prompt.empty())
    json["prompt"] = turn.prompt;
  else if (!turn.text.empty())
    json["text"] = turn.text;
  else
    json["messages"] = turn.messages;
  json["max_tokens"] = turn.max_tokens;
  if (turn.from != index - 1) json["from"] = turn.from;
  if (turn.think_s > 0) json["think_s"] = turn.think_s;
  return json;
}

Status check_messages(const Json& messages) {
  if (!messages.is_array() || messages.empty())
    return fail(ErrorCode::Corrupt, "messages: found {}, expected a list that is not empty",
                json_type_name(messages));
  for (const Json& message : messages)
    if (!MILLRACE_TRY(json_string(message, "role")))
      return fail(ErrorCode::Corrupt, "messages: one has no role");
  return {};
}

Result<Turn> parse_turn(const Json& json, std::int64_t index) {
  Turn turn;
  const Json* prompt = json_find(json, "prompt");
  const Json* text = json_find(json, "text");
  const Json* messages = json_find(json, "messages");
  if ((prompt != nullptr) + (text != nullptr) + (messages != nullptr) != 1)
    return fail(ErrorCode::Corrupt, "expected one of prompt, text and messages");
  if (prompt) {
    if (!prompt->is_array() || prompt->empty())
      return fail(ErrorCode::Corrupt, "prompt: found {}, expected a list of token ids",
                  json_type_name(*prompt));
    for (const Json& id : *prompt) {
      if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
          id.get<std::int64_t>() > std::numeric_limits<std::int32_t>::max())
        return fail(ErrorCode::Corrupt, "prompt: found {}, expected token ids", one_line(id));
      turn.prompt.push_back(id.get<std::int32_t>());
    }
  } else if (text) {
    turn.text = MILLRACE_TRY(json_string(json, "text")).value_or("");
    if (turn.text.empty()) return fail(ErrorCode::Corrupt, "text: is empty");
  } else {
    MILLRACE_TRY(check_messages(*messages));
    turn.messages = *messages;
  }
  turn.from = MILLRACE_TRY(json_int(json, "from", -1, index - 1)).value_or(index - 1);
  const auto most = MILLRACE_TRY(json_int(json, "max_tokens", 1, std::int64_t{1} << 31));
  if (!most) return fail(ErrorCode::Corrupt, "max_tokens: is missing");
  turn.max_tokens = *most;
  turn.think_s = MILLRACE_TRY(json_number(json, "think_s")).value_or(0);
  if (!(turn.think_s >= 0 && turn.think_s <= 86400))
    return fail(ErrorCode::Corrupt, "think_s: found {}, expected 0 to 86400", turn.think_s);
  return turn;
}

Result<Session> parse_session(const Json& json) {
  Session session;
  session.id = MILLRACE_TRY(json_string(json, "id")).value_or("");
  if (session.id.empty()) return fail(ErrorCode::Corrupt, "id: is missing");
  if (const Json* body = json_find(json, "body")) {
    if (!body->is_object())
      return fail(ErrorCode::Corrupt, "body: found {}, expected an object", json_type_name(*body));
    session.body = *body;
  }
  const Json* turns = json_find(json, "turns");
  if (!turns || !turns->is_array() || turns->empty())
    return fail(ErrorCode::Corrupt, "turns: expected a list that is not empty");
  for (std::size_t i = 0; i < turns->size(); ++i) {
    auto turn = parse_turn((*turns)[i], static_cast<std::int64_t>(i));
    if (!turn) return fail_in(fmt::format("turn {}", i), turn.error());
    session.turns.push_back(std::move(*turn));
  }
  return session;
}

}  // namespace

std::string to_jsonl(const Workload& workload) {
  std::string out;
  for (const Session& session : workload) {
    Json turns = Json::array();
    for (std::size_t i = 0; i < session.turns.size(); ++i)
      turns.push_back(to_json(session.turns[i], static_cast<std::int64_t>(i)));
    Json json = {{"id", session.id}};
    if (!session.body.empty()) json["body"] = session.body;
    json["turns"] = std::move(turns);
    out += one_line(json) + "\n";
  }
  return out;
}

Result<Workload> parse_workload(std::string_view jsonl, std::string_view origin) {
  Workload workload;
  for (std::size_t number = 1; !jsonl.empty(); ++number) {
    const auto end = std::min(jsonl.find('\n'), jsonl.size());
    const std::string_view line = jsonl.substr(0, end);
    jsonl.remove_prefix(std::min(end + 1, jsonl.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}, line {}", origin, number);
    const Json json = MILLRACE_TRY(parse_json(line, where));
    auto session = parse_session(json);
    if (!session) return fail_in(where, session.error());
    workload.push_back(std::move(*session));
  }
  if (workload.empty()) return fail(ErrorCode::Corrupt, "{}: holds no session", origin);
  return workload;
}

Result<Workload> read_workload(const std::string& path) {
  const MappedFile file = MILLRACE_TRY(MappedFile::open(path));
  return parse_workload(file.text(), path);
}

std::string fingerprint(const Workload& workload) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : to_jsonl(workload))
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return fmt::format("{:016x}", hash);
}

std::int64_t count_turns(const Workload& workload) {
  std::int64_t count = 0;
  for (const Session& session : workload) count += std::ssize(session.turns);
  return count;
}

}  // namespace millrace::loadgen
