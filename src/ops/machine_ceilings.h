// What this machine allows at most: measured, so that every speed can be quoted as a fraction.
#pragma once

#include "device/device.h"

namespace millrace {

struct MachineCeilings {
  double read_gb_s = 0;  // best of several passes: all threads reading memory
  double read_gb_s_median = 0;
  double copy_gb_s = 0;  // of a GPU: read and written bytes together, the best pass
  double gflop_s = 0;    // of a CPU: float multiply-adds of all threads, two operations each
};

// Takes about half a second and 256 MiB on a CPU, a tenth of that and 2 GiB on a GPU.
MachineCeilings measure_ceilings(Device& device);

}  // namespace millrace
