// Bytes between the ranks of one MPI communicator, in pieces that MPI can count. Nothing here
// waits: transfers are started and tested, and make progress while they are tested. Calls come from
// the session's thread.
#ifndef AUTODIST_COMM_MPI_CHANNEL_H_
#define AUTODIST_COMM_MPI_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace autodist::comm {

// Data of collectives and of messages do not meet.
enum class MpiTag { kCollective = 1, kMessage = 2 };

// What goes before the data, so that mismatched calls are found before their data are misread: a
// Call without its name (call.h).
struct MpiHeader {
  uint64_t code = 0;
  int64_t elements = 0;
};

struct ConstPart {
  const void* data = nullptr;
  size_t bytes = 0;
};
struct Part {
  void* data = nullptr;
  size_t bytes = 0;
};

// Sends or receives under way. MPI reads and writes their memory until Done() or Cancel().
class MpiTransfers {
 public:
  MpiTransfers();
  ~MpiTransfers();
  MpiTransfers(MpiTransfers&&) noexcept;
  MpiTransfers& operator=(MpiTransfers&&) noexcept;

  bool Done();    // makes progress; true when there is none (any more)
  void Cancel();  // of receives that nobody has answered

 private:
  friend class MpiChannel;
  struct Requests;
  std::unique_ptr<Requests> requests_;
};

class MpiChannel {
 public:
  // A channel between all ranks of mpirun. Collective.
  static std::unique_ptr<MpiChannel> World();
  // Collective, as is the destructor. Waits without bound for ranks that have not come. nullptr
  // where `color` is negative.
  std::unique_ptr<MpiChannel> Split(int color, int key) const;
  ~MpiChannel();

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  const std::vector<int>& members() const { return members_; }  // their ranks in mpirun's world

  // Transfers between a pair of ranks with one tag arrive in the order in which they were started.
  void StartSend(ConstPart part, int to, MpiTag tag, MpiTransfers& transfers) const;
  void StartReceive(Part part, int from, MpiTag tag, MpiTransfers& transfers) const;

 private:
  struct Group;
  explicit MpiChannel(std::unique_ptr<Group> group);

  const std::unique_ptr<Group> group_;
  int rank_ = 0;
  std::vector<int> members_;
};

// A header and the data behind it, on their way in. Stays where it is: MPI writes into it.
class MpiIncoming {
 public:
  // Checks the header and says where the data go.
  using Accept = std::function<Part(const MpiHeader&)>;

  MpiIncoming() = default;
  MpiIncoming(const MpiIncoming&) = delete;
  MpiIncoming& operator=(const MpiIncoming&) = delete;

  // `channel` outlives this.
  void Start(const MpiChannel& channel, int from, MpiTag tag);
  bool started() const { return channel_ != nullptr; }
  bool header_arrived() const { return header_arrived_; }
  bool Test(const Accept& accept);  // makes progress; true: all is there
  void Cancel() { transfers_.Cancel(); }

 private:
  const MpiChannel* channel_ = nullptr;
  int from_ = -1;
  MpiTag tag_ = MpiTag::kCollective;
  MpiHeader header_;
  bool header_arrived_ = false;
  MpiTransfers transfers_;
};

}  // namespace autodist::comm

#endif  // AUTODIST_COMM_MPI_CHANNEL_H_
