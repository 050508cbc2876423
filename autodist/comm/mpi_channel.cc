#include "autodist/comm/mpi_channel.h"

// The C interface alone: the C++ one is gone from the standard, and its library is not linked.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <utility>

namespace autodist::comm {
namespace {

// Pieces are sent eagerly: Open MPI's TCP does so up to 64 KiB, its header included. What is larger
// waits for an answer from the peer, which queues behind that peer's own data, so that the two
// directions of an exchange take turns on the link every now and then.
constexpr size_t kPieceBytes = size_t{32} << 10;

}  // namespace

struct MpiTransfers::Requests {
  std::vector<MPI_Request> all;
};

MpiTransfers::MpiTransfers() : requests_(std::make_unique<Requests>()) {}
MpiTransfers::~MpiTransfers() = default;
MpiTransfers::MpiTransfers(MpiTransfers&&) noexcept = default;
MpiTransfers& MpiTransfers::operator=(MpiTransfers&&) noexcept = default;

bool MpiTransfers::Done() {
  std::vector<MPI_Request>& all = requests_->all;
  int done = 0;
  MPI_Testall(static_cast<int>(all.size()), all.data(), &done, MPI_STATUSES_IGNORE);
  if (done != 0) all.clear();
  return done != 0;
}

void MpiTransfers::Cancel() {
  for (MPI_Request& request : requests_->all) {
    if (request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }
}

struct MpiChannel::Group {
  explicit Group(MPI_Comm taken) : comm(taken) {}
  ~Group() { MPI_Comm_free(&comm); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  MPI_Comm comm;
};

std::unique_ptr<MpiChannel> MpiChannel::World() {
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  return std::unique_ptr<MpiChannel>(new MpiChannel(std::make_unique<Group>(comm)));
}

std::unique_ptr<MpiChannel> MpiChannel::Split(int color, int key) const {
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Comm_split(group_->comm, color < 0 ? MPI_UNDEFINED : color, key, &comm);
  if (comm == MPI_COMM_NULL) return nullptr;
  return std::unique_ptr<MpiChannel>(new MpiChannel(std::make_unique<Group>(comm)));
}

MpiChannel::MpiChannel(std::unique_ptr<Group> group) : group_(std::move(group)) {
  int size = 0;
  int world_rank = 0;
  MPI_Comm_rank(group_->comm, &rank_);
  MPI_Comm_size(group_->comm, &size);
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  members_.resize(static_cast<size_t>(size));
  MPI_Allgather(&world_rank, 1, MPI_INT, members_.data(), 1, MPI_INT, group_->comm);
}

MpiChannel::~MpiChannel() = default;

void MpiChannel::StartSend(ConstPart part, int to, MpiTag tag, MpiTransfers& transfers) const {
  for (size_t first = 0; first < part.bytes; first += kPieceBytes) {
    MPI_Isend(static_cast<const std::byte*>(part.data) + first,
              static_cast<int>(std::min(kPieceBytes, part.bytes - first)), MPI_BYTE, to,
              static_cast<int>(tag), group_->comm, &transfers.requests_->all.emplace_back());
  }
}

void MpiChannel::StartReceive(Part part, int from, MpiTag tag, MpiTransfers& transfers) const {
  for (size_t first = 0; first < part.bytes; first += kPieceBytes) {
    MPI_Irecv(static_cast<std::byte*>(part.data) + first,
              static_cast<int>(std::min(kPieceBytes, part.bytes - first)), MPI_BYTE, from,
              static_cast<int>(tag), group_->comm, &transfers.requests_->all.emplace_back());
  }
}

void MpiIncoming::Start(const MpiChannel& channel, int from, MpiTag tag) {
  channel_ = &channel;
  from_ = from;
  tag_ = tag;
  channel.StartReceive({&header_, sizeof(header_)}, from, tag, transfers_);
}

bool MpiIncoming::Test(const Accept& accept) {
  if (!transfers_.Done()) return false;
  if (header_arrived_) return true;
  header_arrived_ = true;
  channel_->StartReceive(accept(header_), from_, tag_, transfers_);
  return transfers_.Done();
}

}  // namespace autodist::comm
