// Ranks that an MPI launcher started and that need MPI: they are on several hosts, or the
// launcher's environment does not tell enough to do without (create.h).
//
// Ranks that turn out to be on one host use MPI to meet and to end properly; between them works the
// shared memory of process_communicator.h, watchdog included. Ranks on several hosts exchange MPI
// messages. Only the MPI-3.1 interface is used, from the thread that started the session
// (MPI_THREAD_FUNNELED).
#ifndef AUTODIST_COMM_MPI_COMMUNICATOR_H_
#define AUTODIST_COMM_MPI_COMMUNICATOR_H_

#include <memory>

#include "autodist/comm/communicator.h"
#include "autodist/comm/watchdog.h"

namespace autodist::comm {

// MPI between MPI_Init and MPI_Finalize. MPI allows one per process; when the program around this
// library has initialised MPI already, that is used and left as it is.
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

 private:
  const ParentWatch parent_;
  bool finalize_ = false;
  int rank_ = 0;
  int size_ = 1;
  bool one_host_ = false;
};

// Starts a session for the lifetime of the group. Collective over the ranks of mpirun. Throws
// kBadInput when MPI says otherwise than `rank` and `ranks` about this process.
std::unique_ptr<Communicator> CreateMpiGroup(int rank, int ranks, const CommOptions& options);

// The parts of it, each over a session that outlives the group: what ranks of one host use, and
// what ranks of several hosts use (correct on one host, too). Of the latter:
//   - Abort(), a time-out and a mismatch print their reason and end this process with its exit
//   code; mpirun then ends
//     the others. No peer gets to see the error.
//   - Calls come from the session's thread, on all communicators.
//   - Data that Send() has buffered moves while this rank is inside a call; the destructor waits
//   for it.
std::unique_ptr<Communicator> CreateMpiHostGroup(const std::shared_ptr<MpiSession>& session,
                                                 const CommOptions& options);
std::unique_ptr<Communicator> CreateMpiMessageGroup(const std::shared_ptr<MpiSession>& session,
                                                    const CommOptions& options);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_COMMUNICATOR_H_
