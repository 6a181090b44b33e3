#include "tests/unit/scheduler/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

namespace millrace::testing {

class CountingLedger::Held final : public Lease {
 public:
  Held(CountingLedger& ledger, RequestId its_id) : id(its_id), ledger_(&ledger) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() override {
    Request& request = ledger_->requests_[id];
    ledger_->free_ += std::exchange(request.blocks, 0);
    --ledger_->open_;
  }
  RequestId id;

 private:
  CountingLedger* ledger_;
};

std::variant<MemoryLedger::Opened, MemoryLedger::Refusal> CountingLedger::open(RequestId id,
                                                                               std::int64_t spare) {
  Request& request = requests_[id];
  if (request.later) return Refusal::Later;
  const std::int64_t needed = blocks_for(request.tokens + 1);
  if (free_ < needed + (open_ > 0 ? spare : 0)) return Refusal::NoRoom;
  free_ -= needed;
  request.blocks = needed;
  request.computed = request.cached;
  ++request.admissions;
  ++open_;
  return Opened{std::make_unique<Held>(*this, id), request.cached, request.replay};
}

bool CountingLedger::reserve(Lease& lease, std::int64_t count) {
  Request& request = requests_[static_cast<Held&>(lease).id];
  const std::int64_t more = blocks_for(request.computed + count) - request.blocks;
  if (more > free_) return false;
  if (more > 0) {
    free_ -= more;
    request.blocks += more;
  }
  return true;
}

std::int64_t CountingLedger::drafts(Lease& lease, std::int64_t most) {
  return std::min(most, requests_[static_cast<Held&>(lease).id].drafts);
}

std::optional<std::int64_t> CountingLedger::preempt(RequestId id, std::unique_ptr<Lease> lease) {
  Request& request = requests_[id];
  if (request.busy) {
    preempted_[id] = std::move(lease);
    return std::nullopt;
  }
  return request.tokens;
}

std::int64_t CountingLedger::settle(RequestId id) {
  preempted_.erase(id);
  return requests_[id].tokens;
}

std::unique_ptr<Lease> CountingLedger::settle_lease(RequestId id) {
  const auto found = preempted_.find(id);
  if (found == preempted_.end()) return nullptr;
  std::unique_ptr<Lease> lease = std::move(found->second);
  preempted_.erase(found);
  return lease;
}

void CountingLedger::run(std::span<const PlanSpan> plan) {
  for (const PlanSpan& span : plan) {
    if (span.kind == SpanKind::Replay) continue;
    Request& request = requests_[span.id];
    request.computed += span.count;
    if (span.wants_logits) request.tokens = request.computed + 1;
  }
}

std::string show(std::span<const PlanSpan> plan, const std::map<RequestId, std::string>& names) {
  std::string out;
  for (const PlanSpan& span : plan) {
    const char* kind = span.kind == SpanKind::Replay    ? "replay"
                       : span.kind == SpanKind::Prefill ? "prefill"
                                                        : "decode";
    const auto name = names.find(span.id);
    out += fmt::format("{}{}:{}[{},{}){}", out.empty() ? "" : " ",
                       name == names.end() ? std::to_string(span.id) : name->second, kind,
                       span.first, span.first + span.count, span.wants_logits ? "!" : "");
  }
  return out.empty() ? "-" : out;
}

namespace {

// One line: words, "key=value" options, and what is expected behind '>'.
struct Line {
  std::vector<std::string> words;
  std::map<std::string, std::string> options;
  std::optional<std::string> expected;

  explicit Line(std::string text) {
    text = text.substr(0, text.find('#'));
    if (const auto mark = text.find('>'); mark != std::string::npos) {
      std::istringstream rest(text.substr(mark + 1));
      expected.emplace();
      for (std::string word; rest >> word;) *expected += (expected->empty() ? "" : " ") + word;
      text.resize(mark);
    }
    std::istringstream in(text);
    for (std::string word; in >> word;) {
      const auto equals = word.find('=');
      if (equals == std::string::npos)
        words.push_back(word);
      else
        options[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  std::int64_t number(const std::string& name, std::int64_t otherwise) const {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : std::stoll(found->second);
  }
};

class Player {
 public:
  // What was found where something else was expected; empty if it was met.
  std::string play(const Line& line) {
    const std::string& command = line.words[0];
    if (command == "limits") {
      SchedulerLimits limits;
      limits.replay_tokens = line.number("replay", 0);
      limits.max_running = line.number("running", 4);
      limits.step_budget = line.number("budget", 16);
      limits.spare_logits = line.number("spare_logits", 0);
      SchedulerPolicy policy;
      policy.aging_steps = line.number("aging", 100);
      policy.spare_blocks_per_answer = static_cast<double>(line.number("spare", 0));
      if (line.options.contains("share"))
        policy.first_prompt_share = std::stod(line.options.at("share"));
      ledger_ =
          std::make_unique<CountingLedger>(line.number("blocks", 1000), line.number("block", 4));
      scheduler_ = std::make_unique<Scheduler>(limits, *ledger_, policy);
      return "";
    }
    if (command == "step") {
      const auto plan = scheduler_->next_plan();
      const std::string shown = show(plan, names_);
      ledger_->run(plan);
      scheduler_->begun();
      return met(shown, line);
    }
    if (command == "free") return met(std::to_string(ledger_->free_blocks()), line);
    const std::string& name = line.words.at(1);
    if (command == "submit") {
      const RequestId id = next_++;
      names_[id] = name;
      ids_[name] = id;
      CountingLedger::Request& request = ledger_->of(id);
      request.tokens = line.number("prompt", 1);
      request.cached = line.number("cached", 0);
      request.replay = line.number("replay", 0);
      request.drafts = line.number("drafts", 0);
      const bool waits =
          std::find(line.words.begin(), line.words.end(), "waits") != line.words.end();
      scheduler_->submit({.id = id,
                          .tokens = request.tokens,
                          .priority = static_cast<int>(line.number("priority", 0)),
                          .waits_for_tokens = waits,
                          .logits_until = line.number("logits", 0)});
      return "";
    }
    const RequestId id = ids_.at(name);
    if (command == "end") {
      scheduler_->end(id);
    } else if (command == "verified") {
      ledger_->of(id).computed = std::stoll(line.words.at(2));
      ledger_->of(id).tokens = ledger_->of(id).computed + 1;
      scheduler_->verified(id, ledger_->of(id).computed);
    } else if (command == "judged") {
      scheduler_->judged(id, std::stoll(line.words.at(2)));
    } else if (command == "busy") {
      ledger_->of(id).busy = true;
    } else if (command == "idle") {
      ledger_->of(id).busy = false;
      scheduler_->returned(id, ledger_->settle(id));
    } else if (command == "later" || command == "ready") {
      ledger_->of(id).later = command == "later";
    } else {
      return "no such command: " + command;
    }
    return "";
  }

 private:
  static std::string met(const std::string& found, const Line& line) {
    if (!line.expected || *line.expected == found) return "";
    return fmt::format("found '{}', expected '{}'", found, *line.expected);
  }

  std::unique_ptr<CountingLedger> ledger_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<RequestId, std::string> names_;
  std::map<std::string, RequestId> ids_;
  RequestId next_ = 1;
};

}  // namespace

std::string run_scenario(const std::string& text) {
  Player player;
  std::istringstream lines(text);
  int number = 0;
  for (std::string each; std::getline(lines, each);) {
    ++number;
    const Line line(each);
    if (line.words.empty()) continue;
    if (const std::string problem = player.play(line); !problem.empty())
      return fmt::format("line {}: {}", number, problem);
  }
  return "";
}

}  // namespace millrace::testing
