// What this machine allows at most: measured, so that every speed can be quoted as a fraction.
#pragma once

#include "device/device.h"

namespace millrace {

struct MachineCeilings {
  double read_gb_s = 0;  // best of several passes: all threads reading memory
  double read_gb_s_median = 0;
  double gflop_s = 0;  // float multiply-adds of all threads, two operations each
};

// Takes about half a second and 256 MiB. CPU devices only.
MachineCeilings measure_ceilings(Device& device);

}  // namespace millrace
