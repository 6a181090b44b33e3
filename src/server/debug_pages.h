// What the engine is doing, for people who look for a reason: as JSON.
#pragma once

#include "base/json_fwd.h"
#include "engine/engine.h"

namespace millrace::server {

// Every request with its phase, tokens and blocks, and who has the KV cache's blocks.
Json debug_state(const EngineState& state);

}  // namespace millrace::server
