#include "autodist/comm/mpi_session.h"

// The C interface alone: the C++ one is gone from the standard, and its library is not linked.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <fmt/format.h>
#include <mpi.h>
#include <sys/random.h>

#include <cstdint>

#include "autodist/core/error.h"

namespace autodist::comm {

MpiSession::MpiSession() {
  int initialised = 0;
  int finalised = 0;
  MPI_Initialized(&initialised);
  MPI_Finalized(&finalised);
  if (finalised != 0)
    throw core::RuntimeFailure("MPI was finalised before: it can be started once per process");
  if (initialised == 0) {
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    if (provided < MPI_THREAD_FUNNELED)
      throw core::RuntimeFailure("this MPI library does not support threads");
    finalize_ = true;
  }
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int host_size = 0;
  MPI_Comm_size(host, &host_size);
  MPI_Comm_free(&host);
  // All must take the same path.
  int all_on_one = host_size == size_ ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &all_on_one, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
  one_host_ = all_on_one != 0;
}

MpiSession::~MpiSession() {
  if (finalize_) MPI_Finalize();
}

std::string MpiSession::AgreeOnJobName() const {
  uint64_t token[2] = {};
  if (rank_ == 0 && ::getrandom(token, sizeof(token), 0) != sizeof(token)) {
    throw core::RuntimeFailure("the system gives no random numbers");
  }
  MPI_Bcast(token, sizeof(token), MPI_BYTE, 0, MPI_COMM_WORLD);
  return fmt::format("mpirun {:016x}{:016x}", token[0], token[1]);
}

}  // namespace autodist::comm
