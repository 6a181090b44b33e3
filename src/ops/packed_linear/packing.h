// Stored weights to panels (panel_formats.h), and back.
#pragma once

#include "base/thread_pool.h"
#include "ops/packed_linear/packed_linear_params.h"
#include "tensor/tensor_view.h"

namespace millrace {

// Is there a panel format for it?
bool can_pack(DType dtype);

// Memory that pack_matrix() fills; a multiple of 64.
std::int64_t packed_bytes(DType dtype, std::int64_t n, std::int64_t k);

// Packs a matrix [n, k] of a type that can_pack(); `to` is aligned to 64 bytes.
PackedView pack_matrix(const TensorView& matrix, void* to, ThreadPool& pool);

// Row `row` as floats [k]: the same bits as decode_row() gives for the stored row.
void decode_packed_row(const PackedView& packed, std::int64_t row, float* out);

}  // namespace millrace
