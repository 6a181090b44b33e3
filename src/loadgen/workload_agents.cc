#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "loadgen/words.h"
#include "loadgen/workload.h"

namespace millrace::loadgen {
namespace {

Json message(std::string_view role, std::string content) {
  return {{"role", role}, {"content", std::move(content)}};
}

Json tool(std::string_view name, std::string_view about, std::string_view argument) {
  return {{"type", "function"},
          {"function",
           {{"name", name},
            {"description", about},
            {"parameters",
             {{"type", "object"},
              {"properties", {{argument, {{"type", "string"}}}}},
              {"required", {argument}}}}}}};
}

class Agents {
 public:
  explicit Agents(const AgentOptions& options) : options_(options), random_(options.seed) {
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, options.system_prompts); ++i)
      systems_.push_back("You are a helpful assistant. " +
                         random_words(random_, options.system_words));
  }

  Session session(std::int64_t index) {
    Session session{.id = fmt::format("a{}", index)};
    if (options_.tools)
      session.body["tools"] = {tool("search", "Looks something up", "query"),
                               tool("read_file", "Reads a file", "path")};
    for (std::int64_t i = 0; i < options_.turns; ++i) session.turns.push_back(turn(session, i));
    return session;
  }

 private:
  Turn turn(const Session& session, std::int64_t index) {
    Turn turn;
    turn.from = index - 1;
    turn.max_tokens = random_.between(std::max<std::int64_t>(1, options_.output / 2),
                                      std::max<std::int64_t>(1, options_.output));
    if (index > 0 && options_.think_s > 0) turn.think_s = options_.think_s * random_.exponential();
    turn.messages = Json::array();
    const double kind = random_.uniform();
    if (index > 0 && kind < options_.edit_share) {
      // Another turn's question is put in other words: everything behind it is gone.
      const auto edited = static_cast<std::size_t>(random_.between(0, index - 1));
      turn.from = session.turns[edited].from;
      turn.messages = session.turns[edited].messages;
      turn.messages.back()["content"] = random_words(random_, options_.user_words);
      return turn;
    }
    if (index > 0 && kind < options_.edit_share + options_.branch_share) {
      // The same history once more, as retries and parallel attempts do.
      turn.from = random_.between(0, index - 1);
      turn.messages.push_back(message("user", random_words(random_, options_.user_words)));
      return turn;
    }
    if (index == 0) {
      const auto which = random_.between(0, std::ssize(systems_) - 1);
      turn.messages.push_back(message("system", systems_[static_cast<std::size_t>(which)]));
    } else if (random_.uniform() < options_.tool_share) {
      turn.messages.push_back(message("tool", random_words(random_, options_.tool_words)));
      return turn;
    }
    turn.messages.push_back(message("user", random_words(random_, options_.user_words)));
    return turn;
  }

  const AgentOptions& options_;
  Random random_;
  std::vector<std::string> systems_;
};

}  // namespace

Workload agent_workload(const AgentOptions& options) {
  Agents agents(options);
  Workload workload;
  for (std::int64_t i = 0; i < options.count; ++i) workload.push_back(agents.session(i));
  return workload;
}

}  // namespace millrace::loadgen
