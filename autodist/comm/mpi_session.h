// MPI of this process, from start to end.
#ifndef AUTODIST_COMM_MPI_SESSION_H_
#define AUTODIST_COMM_MPI_SESSION_H_

#include <string>

#include "autodist/comm/watchdog.h"

namespace autodist::comm {

// MPI between MPI_Init and MPI_Finalize. MPI allows one per process; when the program around this
// library has initialised MPI already, that is used and left as it is. Everything over MPI is
// called from the thread that made the session (MPI_THREAD_FUNNELED).
class MpiSession {
 public:
  // Collective. Throws kRuntime when MPI was finalised before.
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool one_host() const { return one_host_; }
  const ParentWatch& parent() const { return parent_; }
  // The job has failed: MPI_Finalize would wait for ranks that do not come. mpirun ends the job
  // when this process ends.
  void Abandon() { finalize_ = false; }

  // A name for this job, the same on all ranks, that no other job has. Collective.
  std::string AgreeOnJobName() const;

 private:
  const ParentWatch parent_;
  bool finalize_ = false;
  int rank_ = 0;
  int size_ = 1;
  bool one_host_ = false;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_SESSION_H_
