// Pieces of page-locked host memory come to the device, all in one launch: what a step is told.
// A copy each would cost the device a few microseconds between two steps.
#pragma once

#include <cstdint>

namespace millrace {

struct BringInputsParams {
  struct Piece {
    std::uint32_t* to;
    const std::uint32_t*
        from;            // of the host, in the device's reach; stays until the launch is done
    std::int64_t words;  // of 4 bytes
  };
  // Of a launch: what fits in a kernel's parameters with room to spare.
  static constexpr int kMostPieces = 96;

  Piece pieces[kMostPieces];
  int count = 0;
};

}  // namespace millrace
