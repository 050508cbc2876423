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
#include "autodist/comm/mpi_session.h"

namespace autodist::comm {

// Starts a session for the lifetime of the group. Collective over the ranks of mpirun. Throws
// kBadInput when MPI says otherwise than `rank` and `ranks` about this process.
std::unique_ptr<Communicator> CreateMpiGroup(int rank, int ranks, const CommOptions& options);

// The parts of it, each over a session that outlives the group: what ranks of one host use, and
// what ranks of several hosts use (correct on one host, too). Of the latter:
//   - Abort(), a time-out and a mismatch print their reason and end this process with its exit
//     code; mpirun then ends the others. No peer gets to see the error.
//   - Calls come from the session's thread, on all communicators.
//   - Data that Send() has buffered moves while this rank is inside a call; the destructor waits
//     for it.
std::unique_ptr<Communicator> CreateMpiHostGroup(const std::shared_ptr<MpiSession>& session,
                                                 const CommOptions& options);
std::unique_ptr<Communicator> CreateMpiMessageGroup(const std::shared_ptr<MpiSession>& session,
                                                    const CommOptions& options);

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_COMMUNICATOR_H_
