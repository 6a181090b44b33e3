// Between the q/k/v products and attention (spec 4.4): per-head RMSNorm of q and k, rotary
// embedding (rotate-half pairing), k and v stored into the paged cache. q is changed in place.
// Spans with writes_kv == 0 store nothing.
#pragma once

#include "ops/batch_view.h"
#include "ops/matrix_view.h"

namespace millrace {

struct RopeKvParams {
  MatrixView q;         // [rows, heads*head_dim]
  MatrixView k;         // [rows, kv_heads*head_dim]
  MatrixView v;         // likewise
  const float* q_norm;  // [head_dim], shared by all heads
  const float* k_norm;  // [head_dim]
  float epsilon;
  // cos and sin of position * theta^(-2i/head_dim), [max_position][head_dim/2] each.
  const float* cosines;
  const float* sines;
  KvView cache;
  BatchView batch;
  int heads;
};

}  // namespace millrace
