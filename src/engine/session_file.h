// A conversation's memory in a file: its tokens, their keys and values, and the conv state if it
// was kept. A safetensors file, written whole or not at all, and read as warily as any checkpoint:
// what does not belong to this model, or is no number, is refused by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "cache/prefix_tree.h"
#include "device/device.h"
#include "engine/load.h"

namespace millrace {

// What sessions are read from and put into. Used between steps, by the engine's thread.
struct SessionPlace {
  const LoadedModel& files;
  Device& device;
  Stream& stream;
  CacheStorage& cache;
  PrefixTree& tree;
};

// Writes what the tree has of these tokens; returns how many of them that is.
Result<std::int64_t> save_session(const std::string& path, std::span<const TokenId> tokens,
                                  const std::string& salt, const SessionPlace& place);

// Puts a file's tokens into the tree and returns them; at most `context` of them are taken.
Result<std::vector<TokenId>> load_session(const std::string& path, const std::string& salt,
                                          std::int64_t context, const SessionPlace& place);

// Two models whose fingerprints are alike compute alike, as far as a sample of their weights tells.
std::uint64_t model_fingerprint(const LoadedModel& files);

}  // namespace millrace
