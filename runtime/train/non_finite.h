// Finds the first launch of a run whose results hold a NaN or an infinity that its inputs do not.
#pragma once
#include "runtime/executor/executor.h"
#include "runtime/executor/launch_observer.h"

#include <optional>
#include <string>
#include <vector>

namespace weft {

// f32, f64 or bf16; and an element of one, as it lies in memory.
bool IsFloat(fb::DType dtype);
double FloatAt(fb::DType dtype, const char *at);

// Elements of one buffer of a launch as floats; integers have none to look at.
struct FloatScan {
  int64_t nans = 0, infinities = 0, elements = 0;
  double least = 0, most = 0; // of the finite ones
  int64_t first = -1;         // address of the first that is not finite, in elements
  std::vector<std::pair<int, int64_t>>
      at; // its index by number of the launch's size: {2, 17} = 17 along size 2
  double value = 0;
  bool finite() const { return nans + infinities == 0; }
};
// Elements that the kernel addresses in buffer `number` (all there are where its addresses come from data),
// with the indices in `fixed` held; the first that is not finite is looked for among them.
FloatScan ScanBuffer(const ObservedLaunch &launch, int number,
                     const std::vector<std::pair<int, int64_t>> &fixed = {});

struct NonFiniteLaunch {
  int64_t ordinal = 0; // among the launches of the step
  const fb::Launch *launch = nullptr;
  const fb::Kernel *kernel = nullptr;
  int entry = 0, buffer = 0;
  std::vector<int64_t> loops;
  FloatScan result;
  std::vector<FloatScan> inputs;       // of the whole buffers, by number; empty scans for outputs
  std::vector<FloatScan> inputs_there; // along the result's index alone
  std::vector<std::string>
      buffer_names; // "parameter layers.mlp.up_proj.weight, layer 3", "argument tokens", "arena"
};

class NonFiniteFinder : public LaunchObserver {
public:
  explicit NonFiniteFinder(Session &session) : session_(session) {}
  void Before(const ObservedLaunch &launch) override;
  void After(const ObservedLaunch &launch) override;

  // The first infinity made of finite numbers, by code that has none as a constant; the first NaN made of
  // none.
  const std::optional<NonFiniteLaunch> &infinity() const { return infinity_; }
  const std::optional<NonFiniteLaunch> &nan() const { return nan_; }

private:
  NonFiniteLaunch Describe(const ObservedLaunch &launch, int buffer, FloatScan result) const;
  std::string BufferName(const ObservedLaunch &launch, int number) const;

  Session &session_;
  int64_t ordinal_ = -1;
  std::vector<FloatScan> before_;
  bool nan_before_ = false, infinity_before_ = false;
  std::optional<NonFiniteLaunch> infinity_, nan_;
};

// Keeps what the launch of that number reads, as it was before it.
class InputKeeper : public LaunchObserver {
public:
  explicit InputKeeper(int64_t ordinal) : wanted_(ordinal) {}
  void Before(const ObservedLaunch &launch) override;
  void After(const ObservedLaunch &) override {}
  // By buffer; empty for outputs that are only written.
  const std::vector<std::string> &inputs() const { return inputs_; }

private:
  int64_t wanted_, ordinal_ = -1;
  std::vector<std::string> inputs_;
};

} // namespace weft
