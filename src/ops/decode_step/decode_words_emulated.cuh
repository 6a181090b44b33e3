// The emulated side of decode_words.cuh; included by it alone. All blocks are fibers of one thread:
// plain loads and stores do, and whoever waits lets the others go on.
#pragma once

#include <chrono>
#include <cmath>
#include <cstring>

#include "device/gpu/gpu_mma.h"

#define __grid_constant__
#define __noinline__ [[gnu::noinline]]

namespace millrace::emulated::decode {

struct alignas(16) Words4 {
  std::uint32_t x, y, z, w;
};
struct alignas(8) Words2 {
  std::uint32_t x, y;
};
struct alignas(8) Floats2 {
  float x, y;
};
struct alignas(16) Floats4 {
  float x, y, z, w;
};

// An mbarrier in its 8 bytes: rounds passed, arrivals of a round, those still to come. A copy is
// done when it is asked for, so bytes need not be counted.
struct Mbarrier {
  std::uint32_t rounds;
  std::uint16_t arrivals, left;
};
inline Mbarrier read_barrier(const std::uint64_t* b) {
  Mbarrier state;
  std::memcpy(&state, b, sizeof state);
  return state;
}
inline void write_barrier(std::uint64_t* b, const Mbarrier& state) {
  std::memcpy(b, &state, sizeof state);
}
inline void init_barrier(std::uint64_t* b, int arrivals) {
  const auto count = static_cast<std::uint16_t>(arrivals);
  write_barrier(b, {0, count, count});
}
inline void publish_barriers() {}
// Counts when the bytes are there: copy_bulk() follows for all of them before anybody else runs.
inline void arrive(std::uint64_t* b) {
  Mbarrier state = read_barrier(b);
  if (--state.left == 0) {
    ++state.rounds;
    state.left = state.arrivals;
  }
  write_barrier(b, state);
}
inline void expect_bytes(std::uint64_t* b, int) {
  arrive(b);
}
inline bool has_turned(std::uint64_t* b, std::uint32_t parity) {
  return read_barrier(b).rounds % 2 != parity;
}
inline void copy_bulk(void* to, const void* from, int bytes, std::uint64_t*) {
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

inline std::uint32_t load_word(const std::uint32_t* p) {
  return *p;
}
inline Words4 load_words(const std::uint32_t* p) {
  return {p[0], p[1], p[2], p[3]};
}
inline void store_word(std::uint32_t* p, std::uint32_t v) {
  *p = v;
}
inline void store_words(std::uint32_t* p, std::uint32_t a, std::uint32_t b) {
  p[0] = a;
  p[1] = b;
}
inline void count_up(std::uint32_t* p) {
  ++*p;
}
inline void tell_host(std::uint32_t* p, std::uint32_t v) {
  *p = v;
}

inline void sync_multipliers() {
  emulated::sync_some(kDecodeWaves * kWave);
}
inline void look_again() {
  emulated::let_others_go();
}

inline std::int64_t ticks() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}
inline std::int64_t nanoseconds() {
  return ticks();
}

template <typename T>
T load_constant(const T* p) {
  return *p;
}
inline float divide_fast(float a, float b) {
  return a / b;
}
inline float inverse_root(float x) {
  return 1.0f / std::sqrt(x);
}
inline float exp_fast(float x) {
  return std::exp(x);
}

inline void multiply_add(float (&sums)[4], const Words4& a, std::uint32_t b0, std::uint32_t b1) {
  gpu::mma_16x8x16(sums, {a.x, a.y, a.z, a.w}, {b0, b1});
}
inline void multiply_add(float (&sums)[4], std::uint32_t a0, std::uint32_t a2, std::uint32_t b0,
                         std::uint32_t b1) {
  gpu::mma_16x8x16(sums, {a0, 0, a2, 0}, {b0, b1});
}

template <typename Parameters>
void launch_together(void (*kernel)(Parameters), int blocks, int threads, std::int64_t shared_bytes,
                     Stream&, const Parameters& parameters) {
  run_grid(
      {static_cast<unsigned>(blocks), 1, 1}, {static_cast<unsigned>(threads), 1, 1},
      static_cast<std::size_t>(shared_bytes), [&] { kernel(parameters); }, kWave,
      /*together=*/true);
}

}  // namespace millrace::emulated::decode
