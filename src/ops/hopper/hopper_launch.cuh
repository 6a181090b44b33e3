// Chooses the instance of hopper_product.cuh for a plan and launches it.
#pragma once

#include "device/cuda/tensor_maps.h"
#include "ops/hopper/hopper_plan.h"
#include "ops/hopper/hopper_product.cuh"

namespace millrace::cuda::hopper {

// What is multiplied.
struct Factors {
  const BF16* weights[2];  // of each part [columns, k]
  std::int64_t k;
  const BF16* in;
  std::int64_t in_stride;
  std::int64_t rows, columns;
  RowScale scale = {};
  // Of a grouped product; see ProductShape. Matrices of a stack lie one behind the other.
  const RowGroup* groups = nullptr;
  const int* group_count = nullptr;
  std::int64_t matrices = 1;
};

template <int kGroups, int kRows, bool kGrouped, typename Epilogue>
void launch_instance(const ProductPlan& plan, const Factors& f, const Epilogue& epilogue,
                     Stream& stream) {
  constexpr int kParts = Epilogue::kParts;
  WeightMaps<kParts> weights;
  for (int part = 0; part < kParts; ++part)
    weights.part[part] = map_matrix(f.weights[part], f.matrices * f.columns, f.k, f.k, kColumns);
  const CUtensorMap in = map_matrix(f.in, f.rows, f.k, f.in_stride, kRows);
  const ProductShape shape = {.rows = static_cast<int>(f.rows),
                              .columns = static_cast<int>(f.columns),
                              .tiles = plan.tiles,
                              .chunks = plan.chunks,
                              .cluster = plan.cluster,
                              .stages = plan.stages,
                              .sums_in_ring = plan.sums_in_ring,
                              .streamed = plan.row_blocks == 1 && !kGrouped,
                              .scale = f.scale,
                              .groups = f.groups,
                              .group_count = f.group_count,
                              .matrix_rows = static_cast<int>(f.columns)};
  const auto kernel = hopper_product<kGroups, kRows, kGrouped, Epilogue>;
  require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, plan.shared_bytes),
          "more shared memory for a kernel");
  cudaLaunchConfig_t config = {};
  config.gridDim = {static_cast<unsigned>(plan.clusters * plan.cluster),
                    static_cast<unsigned>(plan.row_blocks)};
  config.blockDim = {kGroups * 128 + 32};
  config.dynamicSmemBytes = static_cast<std::size_t>(plan.shared_bytes);
  config.stream = handle_of(stream);
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim = {static_cast<unsigned>(plan.cluster), 1, 1};
  config.attrs = attributes;
  config.numAttrs = plan.cluster > 1 ? 2 : 1;
  require(cudaLaunchKernelEx(&config, kernel, weights, in, shape, epilogue), "a kernel launch");
}

template <int kGroups, bool kGrouped, typename Epilogue>
void launch_rows(const ProductPlan& plan, const Factors& f, const Epilogue& epilogue,
                 Stream& stream) {
  switch (plan.rows) {
    case 16:
      return launch_instance<kGroups, 16, kGrouped>(plan, f, epilogue, stream);
    case 32:
      return launch_instance<kGroups, 32, kGrouped>(plan, f, epilogue, stream);
    case 64:
      return launch_instance<kGroups, 64, kGrouped>(plan, f, epilogue, stream);
    default:
      return launch_instance<kGroups, 128, kGrouped>(plan, f, epilogue, stream);
  }
}

// The same matrices for all rows.
template <typename Epilogue>
void launch(const ProductPlan& plan, const Factors& f, const Epilogue& epilogue, Stream& stream) {
  launch_rows<Epilogue::kParts, false>(plan, f, epilogue, stream);
}

// A matrix of a stack for each group of rows.
template <typename Epilogue>
void launch_grouped(const ProductPlan& plan, const Factors& f, const Epilogue& epilogue,
                    Stream& stream) {
  if constexpr (Epilogue::kParts == 1) {
    if (plan.groups == 1) return launch_rows<1, true>(plan, f, epilogue, stream);
    return launch_rows<2, true>(plan, f, epilogue, stream);
  } else {
    launch_rows<Epilogue::kParts, true>(plan, f, epilogue, stream);
  }
}

}  // namespace millrace::cuda::hopper
