#include "server/debug_pages.h"

#include "base/json.h"

namespace millrace::server {

Json debug_state(const EngineState& state) {
  Json requests = Json::array();
  for (const RequestState& request : state.requests)
    requests.push_back({{"request_id", request.label},
                        {"number", request.id},
                        {"phase", request.phase},
                        {"age_seconds", request.age_seconds},
                        {"priority", request.priority},
                        {"prompt_tokens", request.prompt_tokens},
                        {"cached_tokens", request.cached_tokens},
                        {"answer_tokens", request.tokens - request.prompt_tokens},
                        {"most_tokens", request.most_tokens},
                        {"computed_tokens", request.computed},
                        {"blocks", request.blocks},
                        {"preemptions", request.preemptions}});
  const std::int64_t cached_only = state.tree_blocks - state.shared_blocks;
  return {{"requests", std::move(requests)},
          {"blocks",
           {{"total", state.blocks},
            {"tokens_each", state.block_tokens},
            {"free", state.free_blocks},
            {"prefix_cache_unused", cached_only},
            {"prefix_cache_in_use", state.shared_blocks},
            {"requests_alone", state.blocks - state.free_blocks - state.tree_blocks}}},
          {"conv_states_kept", state.conv_states}};
}

}  // namespace millrace::server
