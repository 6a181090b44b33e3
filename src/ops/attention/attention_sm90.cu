// Prefill attention for Hopper, heads of 64 dimensions.
//
// A persistent block a multiprocessor takes items, longest first: the query heads of one KV head
// times as many neighbouring tokens as make 192 rows (row r is head r % group of token r / group),
// so that they share every key and value. Its warpgroups have roles:
//   fetchers   wave 0 takes items and copies keys and values, tiles of 128 tokens, into a ring by
//              tensor copies, one a cache block of 16 tokens (a box of 2 KB); waves 1 to 3 copy the
//              queries of the item that comes next
//   3 x 64     each multiplies 64 rows by a tile: scores = Q K^T and out += P V with warpgroup
//              products, softmax between them in registers. The scores of the next tile and the
//              sums of this one are asked for together: while one group's exponentials are worked
//              out the tensor cores serve its sums and the other groups.
// Tiles are visited from the last to the first. Softmax is online and in base 2; a tile of which a
// row sees nothing leaves its sums as they are, so that a row's result does not depend on how the
// prompt was cut. Cached values that nobody sees may be NaN: they are overwritten with zeros in
// shared memory, since a weight of zero would not keep them out.
#include <algorithm>

#include "device/cuda/tensor_maps.h"
#include "ops/attention/attention_flash.h"
#include "ops/attention/attention_sm90.cuh"
#include "ops/attention/attention_sm90.h"
#include "ops/attention/attention_sm90_fetch.cuh"
#include "ops/attention/attention_sm90_multiply.cuh"

namespace millrace::cuda {
namespace {

using namespace sm90;

constexpr int kStages = 4;
constexpr int kFetchRegisters = 32;
constexpr int kMultiplyRegisters = 160;

// Grid: as many blocks as multiprocessors.
__global__ void __launch_bounds__(kThreads, 1)
    prefill_sm90(AttentionParams p, const __grid_constant__ CUtensorMap keys,
                 const __grid_constant__ CUtensorMap values, int group, int* taken) {
  extern __shared__ __align__(1024) std::byte memory[];
  auto& shared = *reinterpret_cast<Shared<kStages>*>(memory);
  if (threadIdx.x == 0) init_barriers(shared);
  __syncthreads();
  gpu::wait_for_previous();
  gpu::let_next_start();
  const int warpgroup = same_in_wave(static_cast<int>(threadIdx.x) / kGroupThreads);
  if (warpgroup == 0) {
    hopper::give_registers<kFetchRegisters>();
    const int wave = same_in_wave(static_cast<int>(threadIdx.x) / kLanes);
    if (wave == 0)
      fetch_keys_and_values(shared, p, &keys, &values, group, taken);
    else
      fetch_queries(shared, p, group, wave - 1);
  } else {
    hopper::take_registers<kMultiplyRegisters>();
    Multiplier<kStages>(shared, p, group).run();
  }
}

}  // namespace

void run_sm90_attention(const AttentionParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.batch.max_count > 1) {
    AttentionParams scaled = p;
    scaled.scale *= kLog2E;
    int* taken = nullptr;
    if (p.workspace)
      taken = reinterpret_cast<int*>(static_cast<std::byte*>(p.workspace) + kAttentionCountersAt);
    gpu::launch(prefill_sm90,
                {.grid = {static_cast<unsigned>(gpu::multiprocessors(stream))},
                 .block = {kThreads},
                 .shared_bytes = sizeof(Shared<kStages>),
                 .overlaps = true},
                stream, scaled, map_rows(p.cache.key, kBlockTokens),
                map_rows(p.cache.value, kBlockTokens), p.heads / p.cache.kv_heads, taken);
  }
  run_flash_decode(p, stream);
}

}  // namespace millrace::cuda
