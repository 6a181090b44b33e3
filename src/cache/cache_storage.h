// The memory behind all sequences: paged KV of the attention layers, ring slots of the conv
// layers, and the pools that say who holds which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/id_pool.h"
#include "device/device.h"
#include "ops/batch_view.h"
#include "tensor/dtype.h"

namespace millrace {

// What a model keeps per token and per sequence.
struct CacheGeometry {
  int attention_layers = 0;
  int kv_heads = 0;
  int head_dim = 0;
  DType kv_dtype = DType::BF16;
  int block_tokens = 16;

  int conv_layers = 0;
  std::int64_t conv_channels = 0;
  int taps = 3;           // K
  int draft_columns = 0;  // tokens that can be undone without a replay

  // Columns of v a slot holds per layer. At least one, so that a kernel of one tap has a ring.
  int ring() const { return taps - 1 + draft_columns > 0 ? taps - 1 + draft_columns : 1; }
  // Tokens to run again before a conv state is right at any position (spec 4.6).
  std::int64_t replay_tokens() const { return std::int64_t{taps - 1} * conv_layers; }
  std::int64_t kv_bytes_per_token() const;
  std::int64_t conv_bytes_per_sequence() const;
};

// Bytes of which every element is a very large but finite number. (Not NaN: kernels may multiply
// what lies beyond a sequence's end by zero.)
constexpr std::byte kPoison{0x7f};
constexpr std::byte poison_of(DType dtype) {
  return dtype == DType::F8_E4M3 ? std::byte{0x7e} : kPoison;
}

class CacheStorage {
 public:
  // blocks * block_tokens positions in all, `slots` sequences at once.
  CacheStorage(Device& device, const CacheGeometry& geometry, std::int32_t blocks,
               std::int32_t slots);

  const CacheGeometry& geometry() const { return geometry_; }
  IdPool& blocks() { return blocks_; }
  IdPool& slots() { return slots_; }

  // A number that no block table had before: whoever copied a table knows by it whether the copy
  // is still right.
  std::uint64_t next_table_version() { return ++table_versions_; }

  // The layer-th attention, or conv, layer, counted among its kind.
  KvView kv(int layer) const;
  ConvStateView conv(int layer) const;

  // Queues a copy of all keys and values of a block.
  void copy_block(std::int32_t from, std::int32_t to, Stream& stream) const;

  // From now on whatever comes back to a pool is overwritten with poison_of() its type, in order
  // with the work on `stream`: whoever reads what is not theirs, shows it. For tests.
  void poison_freed(Stream& stream);

  // Keys, or values, of one block in one attention layer; columns of one slot in a conv layer.
  std::int64_t kv_block_bytes() const;
  std::int64_t conv_slot_bytes() const;

 private:
  Device* device_;
  CacheGeometry geometry_;
  std::int64_t kv_layer_bytes_;  // keys or values of one layer
  std::int64_t conv_layer_floats_;
  DeviceBuffer kv_;    // [layer][key, value][block][kv_head][block_tokens][head_dim]
  DeviceBuffer conv_;  // [layer][slot][ring][channels] float
  std::uint64_t table_versions_ = 0;
  std::vector<std::byte> kv_poison_, conv_poison_;  // of a block, of a slot
  IdPool blocks_;
  IdPool slots_;
};

}  // namespace millrace
