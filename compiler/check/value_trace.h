// Every value that an entry computes, remembered by a few sums of it, so that the first op whose result a
// pass has changed can be found.
//
// A pass may reorder, split, merge and fuse ops, so values of two programs have no common names. They are
// recognised by their numbers: a value of the later program is *known* when the earlier one has one with the
// same elements in the same order, or the same elements in another shape (a transpose, a broadcast). A
// rewrite makes new values on its way to known ones; a fault makes values that lead to none. So the first op
// that is at fault is the first whose result is not known and from which nothing known is computed, among
// those that what differs at the end is computed from.
#pragma once
#include "dialects/graph/interpret.h"
#include <string>
#include <vector>

namespace weft {

class ValueTrace : public graph::InterpretObserver {
public:
  void after(mlir::Operation *op, llvm::ArrayRef<const graph::HostTensor *> operands,
             llvm::ArrayRef<const graph::HostTensor *> results) override;
  void made(const graph::HostTensor *from, const graph::HostTensor *to) override;
  void added(const graph::HostTensor *part, const graph::HostTensor *to) override;

  // The first op of `after` that is at fault, in several lines: its name and place, what it gave and what the
  // op of its place gave before. It is looked for in what results of the entry (by number), variables and
  // what is sent to other stages are computed from. "" where none is found. `tolerance` is of a value's
  // largest magnitude. `restsOnReceived`: it is computed from what another stage sends, and did not send
  // before.
  static std::string firstFault(const ValueTrace &before, const ValueTrace &after,
                                llvm::ArrayRef<int64_t> results, llvm::ArrayRef<std::string> variables,
                                double tolerance, bool *restsOnReceived = nullptr);

private:
  struct Numbers { // that a permutation, or repeating each as often, leaves as they are
    double least = 0, most = 0, mean = 0, rms = 0;
    bool near(const Numbers &other, double tolerance) const;
  };
  struct Value : Numbers {
    mlir::Operation *op = nullptr; // null: parts of others
    int64_t result = 0;
    std::vector<int64_t> from; // values
    llvm::SmallVector<int64_t> shape;
    double sums[3] = {0, 0, 0};                                // Σ v[i] r(i), of three fixed random r
    std::vector<std::pair<mlir::Operation *, Numbers>> region; // of a kernel: its ops
  };
  class Gathered;
  int64_t valueOf(const graph::HostTensor *t); // one that nobody has made is an argument
  bool knows(const Value &v, double tolerance) const;
  bool knows(const Numbers &n, double tolerance) const;
  // The first op of a kernel's region that is at fault; null for none.
  mlir::Operation *firstOfRegion(const Value &kernel, double tolerance) const;

  std::vector<Value> values;
  llvm::DenseMap<const graph::HostTensor *, int64_t> present;
  llvm::SmallVector<int64_t> returned; // of the last return, which is the entry's
  std::map<std::string, int64_t> written;
  llvm::SmallVector<int64_t> sent; // to other stages
};

} // namespace weft
