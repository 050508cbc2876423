// What the cost model needs to know of the machines at hand, measured with the work of a model: our
// own kernels and communicators, all ranks at once, as they run it.
#ifndef AUTODIST_MEASURE_CALIBRATION_H_
#define AUTODIST_MEASURE_CALIBRATION_H_

#include "autodist/comm/communicator.h"
#include "autodist/core/dtype.h"
#include "autodist/device/stream.h"
#include "autodist/spec/cluster.h"

namespace autodist::measure {

// Collective over `world`, whose ranks are spread evenly over `hosts` hosts in rank order; each
// brings its own stream. `dtype`, f32 or bf16: of the weights. With one rank the links stay
// unknown (0), and so does all that needs them. `cores` of the result: the threads of a host's
// ranks. Takes some seconds and, per host, 512 MiB. The same result on every rank. Throws
// core::Error when a peer is lost.
//   read_bytes_per_s       Linear() of one row
//   core_read_bytes_per_s  the same on one thread, while the other ranks wait
//   flops_per_s            Linear() of 512 rows
//   attention_flops_per_s  Attention() of 512 positions that see 512 to 1024
//   row_bytes_per_s        RmsNorm(), Add() and ActivateGated() of 512 rows
//   operation_s            Linear() of next to nothing
//   link_*, host_link_*    AllReduce() of 4 KiB and of 1 MiB within a host, between hosts
spec::Cluster Calibrate(comm::Communicator& world, device::Stream& stream, int hosts,
                        core::DType dtype);

}  // namespace autodist::measure

#endif  // AUTODIST_MEASURE_CALIBRATION_H_
