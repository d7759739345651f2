#include "compiler/check/interpret_stages.h"
#include "dialects/dist/dist.h"
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>

using namespace mlir;
using weft::graph::HostTensor;
namespace weft {
namespace {

// Where the stages meet. Who holds the turn runs; everything else waits, so that nothing else is locked.
class Meeting {
public:
  explicit Meeting(int64_t count) : count(count), numReductions(count), ended(count) {}

  bool begin(int64_t stage) {
    std::unique_lock lock(mutex);
    wait(lock, stage);
    idle = 0;
    return !broken;
  }
  void end(int64_t stage, bool failed) {
    std::unique_lock lock(mutex);
    ended[stage] = true;
    idle = 0;
    broken |= failed;
    pass(stage);
  }
  // Lets others run until ready(); false where it never will be.
  bool waitUntil(int64_t stage, llvm::function_ref<bool()> ready) {
    std::unique_lock lock(mutex);
    while (!broken && !ready()) {
      if (++idle > count) { // all have been asked since anyone went on
        broken = stuck = true;
        break;
      }
      pass(stage);
      wait(lock, stage);
    }
    if (!broken) idle = 0;
    return !broken;
  }

  using Address = std::tuple<int64_t, int64_t, int64_t>; // from, to, tag
  std::map<Address, std::deque<HostTensor>> mail;
  struct Reduction {
    std::vector<std::optional<HostTensor>> parts;
    int64_t taken = 0;
  };
  std::map<int64_t, Reduction> reductions; // by number: all stages make them in the same order
  const int64_t count;
  std::vector<int64_t> numReductions; // made so far, by stage
  bool stuck = false;                 // not because a stage failed

private:
  void wait(std::unique_lock<std::mutex> &lock, int64_t stage) {
    changed.wait(lock, [&] { return turn == stage; });
  }
  void pass(int64_t from) {
    for (int64_t i = 1; i <= count; ++i)
      if (int64_t next = (from + i) % count; !ended[next]) {
        turn = next;
        break;
      }
    changed.notify_all();
  }
  std::mutex mutex;
  std::condition_variable changed;
  int64_t turn = 0, idle = 0;
  bool broken = false;
  std::vector<bool> ended;
};

// Halves are added, of which the first has the largest power of two of parts.
HostTensor treeSum(ArrayRef<std::optional<HostTensor>> parts, bool rounded) {
  if (parts.size() == 1) return *parts[0];
  size_t half = llvm::PowerOf2Ceil(parts.size()) / 2;
  HostTensor sum = treeSum(parts.take_front(half), rounded), rest = treeSum(parts.drop_front(half), rounded);
  for (auto [x, y] : llvm::zip(sum.values, rest.values)) x += y;
  if (rounded) sum.roundToElement();
  return sum;
}

class StageRank : public graph::InterpretRank {
public:
  StageRank(Meeting &meeting, int64_t stage, bool rounded)
      : meeting(meeting), stage(stage), rounded(rounded) {}

  FailureOr<SmallVector<HostTensor>> meet(Operation *op, ArrayRef<const HostTensor *> operands) override {
    if (auto send = dyn_cast<dist::SendOp>(op)) {
      meeting.mail[{stage, send.getPeer(), send.getTag()}].push_back(*operands[0]);
      return SmallVector<HostTensor>();
    }
    if (auto receive = dyn_cast<dist::ReceiveOp>(op)) {
      auto &box = meeting.mail[{receive.getPeer(), stage, receive.getTag()}];
      if (!meeting.waitUntil(stage, [&] { return !box.empty(); })) return stuckAt(op);
      SmallVector<HostTensor> out{std::move(box.front())};
      box.pop_front();
      return out;
    }
    const int64_t number = meeting.numReductions[stage]++;
    Meeting::Reduction &all = meeting.reductions[number];
    all.parts.resize(meeting.count);
    all.parts[stage] = *operands[0];
    auto complete = [&] { return llvm::all_of(all.parts, [](auto &part) { return part.has_value(); }); };
    if (!meeting.waitUntil(stage, complete)) return stuckAt(op);
    for (auto &part : all.parts)
      if (part->shape != operands[0]->shape || part->element != operands[0]->element)
        return op->emitOpError() << "meets " << graph::describe(part->shape, part->element)
                                 << " of another stage";
    SmallVector<HostTensor> out{treeSum(all.parts, rounded)};
    if (++all.taken == meeting.count) meeting.reductions.erase(number);
    return out;
  }

private:
  LogicalResult stuckAt(Operation *op) {
    if (meeting.stuck) op->emitOpError() << "of stage " << stage << " waits for what no stage sends";
    return failure();
  }
  Meeting &meeting;
  const int64_t stage;
  const bool rounded;
};

} // namespace

LogicalResult interpretStages(int64_t count, bool rounded,
                              llvm::function_ref<LogicalResult(int64_t, graph::InterpretRank *)> interpret) {
  if (count == 1) return interpret(0, nullptr);
  Meeting meeting(count);
  std::vector<std::thread> threads;
  std::vector<char> right(count);
  for (int64_t i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      StageRank rank(meeting, i, rounded);
      right[i] = meeting.begin(i) && succeeded(interpret(i, &rank));
      meeting.end(i, !right[i]);
    });
  for (std::thread &t : threads) t.join();
  return success(llvm::all_of(right, [](char r) { return r; }));
}

} // namespace weft
