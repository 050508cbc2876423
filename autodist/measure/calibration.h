// What the cost model needs to know of the machines at hand, measured with the work of a model: our
// own kernels and communicators, all ranks at once, as they run it.
#ifndef AUTODIST_MEASURE_CALIBRATION_H_
#define AUTODIST_MEASURE_CALIBRATION_H_

#include <cstddef>

#include "autodist/comm/communicator.h"
#include "autodist/core/dtype.h"
#include "autodist/device/stream.h"
#include "autodist/measure/kernel_rates.h"
#include "autodist/spec/cluster.h"

namespace autodist::measure {

// How much is measured: less is faster and says less.
struct CalibrationEffort {
  // Of weights, and of caches: more than the caches of a CPU hold.
  size_t bytes_per_host = size_t{512} << 20;
  LayerShape layers;
  ChunkShape chunk;
  double shortest_s = 0.05;  // of one block of calls
  int rounds = 7;            // blocks of each kernel; at least 3
};

// Collective over `world`, whose ranks are spread evenly over `hosts` hosts in rank order; each
// brings its own stream. `dtype`, f32 or bf16: of the weights. `cores`: usable ones of a host.
// What joins ranks stays unknown (0) where there are none to join. Takes 20 to 46 s and, per host,
// twice the effort's bytes. The same result on every rank. Throws core::Error when a peer is lost.
//   read_bytes_per_s        layers of products of one row
//   core_read_bytes_per_s   the same on one thread, while the other ranks wait
//   products, flops_per_s   layers of products of 1 to 512 rows
//   wait_s, wait_fraction_* the same with a meeting after each half of a layer, with one row also
//                           one after all layers: how long ranks wait, or, where they outnumber the
//                           cores, what meeting adds
//   attention_*, cache_*    kernel_rates.h
//   row_bytes_per_s, operation_s
//   collectives             sums over ranks that move 64 bytes to 2 MiB, each after reading memory
//                           where ranks do not outnumber the cores: AllReduce(), from 32 KiB on
//                           ReduceScatter() and AllGather(); within a host and (host_*) between
//                           hosts
//   link_*, host_link_*     the first of these, and the rate of the last
spec::Cluster Calibrate(comm::Communicator& world, device::Stream& stream, int hosts, int cores,
                        core::DType dtype, const CalibrationEffort& effort = {});

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_CALIBRATION_H_
