// Models from a Hugging Face compatible hub, in the cache that Python's huggingface_hub uses.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/model_ref.h"
#include "hub/options.h"
#include "hub/remote_file.h"

namespace millrace {

struct PullOptions {
  // Globs over paths in the repository, where '*' crosses '/'. Empty include: what running an LFM2
  // model needs. With a quantization they narrow the choice of its GGUF.
  std::vector<std::string> include;
  std::vector<std::string> exclude;
  int connections = 8;                                  // at one time, over all files
  std::uint64_t piece_bytes = std::uint64_t{64} << 20;  // of a large file, per request
  // Set it (from a signal handler, say) to stop; must outlive the call. What came stays for the
  // next pull.
  const std::atomic<bool>* cancelled = nullptr;
};

// Downloads what is missing of the model, several connections at a time, going on where an
// interrupted pull stopped, and verifies every file. Returns the snapshot's folder, or the GGUF to
// open (of shards the first) when a quantization or an include chose one model's GGUF. Nothing is
// put into the snapshot before all of its files are verified. Draws a progress bar.
// Errors: NotFound (no such repository, revision or file; access restricted), Unavailable
// (network), Corrupt (the hub contradicts itself, a digest differs), TooLarge (disk, limits),
// Cancelled, InvalidArgument (options).
Result<std::filesystem::path> pull(const ModelRef& ref, const HubOptions& hub,
                                   const PullOptions& options);

// What pull() would download, sorted by path; files that the cache holds already included.
Result<std::vector<RemoteFile>> list_files(const ModelRef& ref, const HubOptions& hub,
                                           const PullOptions& options);

// The same path from the cache alone, if the model is complete there; never asks the network. A
// branch is what it was when last pulled.
std::optional<std::filesystem::path> find_cached(const ModelRef& ref, const HubOptions& hub);

}  // namespace millrace
