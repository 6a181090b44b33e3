// The same trace through the real engine.
#pragma once

#include "engine/engine.h"
#include "tools/serve_sim/simulation.h"

namespace millrace::sim {

// As the engine is told to be: what a simulation of it needs to know.
SimulatedEngine simulated_engine_for(const EngineOptions& options, const ModelConfig& config);

// All requests come at once, behind one that holds the engine's thread until they are there; so
// the engine plans the steps that a simulation plans for arrivals at 0. Answers have the trace's
// lengths, not its tokens: prompts must not hold answers.
Simulated run_on_engine(Engine& engine, const Trace& trace);

}  // namespace millrace::sim
