#include "tests/runtime/executor/session_fixture.h"

#include <atomic>
#include <cstring>
#include <set>

namespace weft {
namespace {

using fb::ArgumentKind, fb::DType;
using testing::Arg, testing::Argument, testing::Bound, testing::InArena, testing::Launch, testing::List,
    testing::Loop, testing::OneEntry, testing::Persistent, testing::RunTimeLoop;

using Log = std::vector<int64_t>;

// Runs loops whose innermost body appends an element of 0, 1, 2, … at a strided address to a log; returns the
// log.
Log LogOf(std::vector<testing::InstructionPtr> body) {
  Log values(100), log(1000);
  for (int i = 0; i < 100; ++i) values[i] = i;
  auto session = OneEntry(0,
                          List(Argument("values", ArgumentKind::input, DType::i64, {100}),
                               Argument("log", ArgumentKind::output, DType::i64, {1000})),
                          std::move(body));
  absl::Status status = session->Run(0, {Bound(values), Bound(log)});
  EXPECT_TRUE(status.ok()) << status;
  return Log(log.begin() + 1, log.begin() + 1 + log[0]);
}

testing::InstructionPtr Append(int64_t first, std::vector<std::pair<int, int64_t>> element_strides) {
  for (auto &[depth, stride] : element_strides) stride *= 8;
  return Launch(testing::kAppend, List(Arg(0, first * 8, 8, element_strides), Arg(1, 0, 8000)), {}, 1);
}

TEST(Executor, LoopsRunTheirRange) {
  EXPECT_EQ(LogOf(List(Loop(2, 6, List(Append(0, {{0, 1}}))))), (Log{2, 3, 4, 5}));
  EXPECT_EQ(LogOf(List(Loop(3, 3, List(Append(0, {{0, 1}}))))), Log{});
  EXPECT_EQ(LogOf(List(Append(9, {}), Loop(0, 2, List(Append(1, {{0, 3}}))), Append(7, {}))),
            (Log{9, 1, 4, 7}));
}

TEST(Executor, ReverseLoopsCountDown) {
  EXPECT_EQ(LogOf(List(Loop(2, 6, List(Append(0, {{0, 1}})), true))), (Log{5, 4, 3, 2}));
  EXPECT_EQ(LogOf(List(Loop(0, 3, List(Append(10, {{0, -2}})), true))), (Log{6, 8, 10}));
}

TEST(Executor, NestedLoopsAddTheirStrides) {
  EXPECT_EQ(
      LogOf(List(Loop(1, 3, List(Append(50, {{0, 1}}), Loop(0, 2, List(Append(0, {{0, 10}, {1, 1}}))))))),
      (Log{51, 10, 11, 52, 20, 21}));
  // An inner loop with no iterations, and one after another at the same depth.
  EXPECT_EQ(
      LogOf(List(Loop(
          0, 2, List(Loop(4, 4, List(Append(0, {}))), Loop(0, 2, List(Append(5, {{0, 2}, {1, 1}})), true))))),
      (Log{6, 5, 8, 7}));
}

class RunTime : public ::testing::Test {
protected:
  // Appends x[i] for each iteration of the body to the log.
  absl::Status Run(std::vector<testing::InstructionPtr> body, int64_t count) {
    auto session = OneEntry(0,
                            List(Argument("x", ArgumentKind::input, DType::i64, {1}, true),
                                 Argument("log", ArgumentKind::output, DType::i64, {1000}),
                                 Argument("count", ArgumentKind::input, DType::i64, {})),
                            std::move(body));
    Log x(std::max<int64_t>(count, 0)), raw(1000);
    for (int64_t i = 0; i < count; ++i) x[i] = i;
    absl::Status status = session->Run(0, {Bound(x), Bound(raw), Binding(&count, 8)});
    log = Log(raw.begin() + 1, raw.begin() + 1 + raw[0]);
    return status;
  }
  static testing::InstructionPtr AppendX() {
    return Launch(testing::kAppend, List(Arg(0, 0, 8, {{0, 8}}), Arg(1, 0, 8000)), {}, 1);
  }
  Log log;
};

TEST_F(RunTime, TripCountComesFromTheArgument) {
  for (int64_t count : {0, 1, 5}) {
    ASSERT_TRUE(Run(List(RunTimeLoop(2, List(AppendX()))), count).ok());
    Log expected;
    for (int64_t i = 0; i < count; ++i) expected.push_back(i);
    EXPECT_EQ(log, expected);
  }
  ASSERT_TRUE(Run(List(RunTimeLoop(2, List(AppendX()), 0, 1, true)), 3).ok());
  EXPECT_EQ(log, (Log{2, 1, 0}));
}

TEST_F(RunTime, PartsCoverTheirShare) {
  auto body = [] {
    return List(RunTimeLoop(2, List(AppendX()), 1, 2), RunTimeLoop(2, List(AppendX()), 0, 2));
  };
  ASSERT_TRUE(Run(body(), 6).ok());
  EXPECT_EQ(log, (Log{3, 4, 5, 0, 1, 2}));
  absl::Status status = Run(body(), 5);
  EXPECT_EQ(status.message(),
            "argument 'count' of entry 'run': the trip count is 5 when it should be a multiple of 2");
  EXPECT_EQ(log, Log{}) << "nothing may have run";
  status = Run(body(), -2);
  EXPECT_EQ(status.message(),
            "argument 'count' of entry 'run': the trip count is -2 when it should not be negative");
}

TEST(Executor, CopiesZerosAndKeepsVariables) {
  // Each run adds x to a variable and returns it, through the arena; the arena's tail is zeroed between.
  auto body =
      List(testing::Copy(Arg(0, 0, 16), InArena(64, 16)),
           Launch(testing::kAxpy, List(Persistent(32, 16), InArena(64, 16), InArena(128, 16)), {3}, 4),
           testing::Copy(InArena(128, 16), Persistent(32, 16)), testing::Zero(InArena(136, 8)),
           testing::Copy(InArena(128, 16), Arg(1, 0, 16)));
  auto session = OneEntry(192,
                          List(Argument("x", ArgumentKind::input, DType::f32, {4}),
                               Argument("y", ArgumentKind::output, DType::f32, {4})),
                          std::move(body), 1, 64, List(testing::Variable("sum", {4}, 32)));
  std::vector<float> x = {1, 2, 3, 4}, y(4);
  for (int run = 1; run <= 3; ++run) {
    ASSERT_TRUE(session->Run(0, {Bound(x), Bound(y)}).ok());
    EXPECT_EQ(y, (std::vector<float>{3.f * run, 6.f * run, 0, 0}));
  }
  auto sum = session->variable("sum");
  ASSERT_TRUE(sum.ok());
  ASSERT_EQ(sum->size(), 16u);
  EXPECT_EQ(reinterpret_cast<float *>(sum->data())[3], 36);
  EXPECT_EQ(session->variable("sums").status().message(), "f.weft: stage 0 has no variable 'sums'");
}

TEST(Executor, LargeCopiesAreWhole) {
  constexpr int64_t n = 5'000'003;
  auto session =
      OneEntry(2 * n,
               List(Argument("x", ArgumentKind::input, DType::boolean, {n}),
                    Argument("y", ArgumentKind::output, DType::boolean, {n})),
               List(testing::Copy(Arg(0, 0, n), InArena(0, n)), testing::Copy(InArena(0, n), InArena(n, n)),
                    testing::Copy(InArena(n, n), Arg(1, 0, n))),
               3);
  std::vector<char> x(n), y(n);
  for (int64_t i = 0; i < n; ++i) x[i] = char(i * 7 % 251);
  ASSERT_TRUE(session->Run(0, {Bound(x), Bound(y)}).ok());
  EXPECT_TRUE(x == y);
}

TEST(Executor, ThreadsGetPiecesAndTheirOwnScratch) {
  for (int threads = 1; threads <= 4; ++threads) {
    auto session = OneEntry(
        0,
        List(Argument("x", ArgumentKind::input, DType::f32, {1003}),
             Argument("y", ArgumentKind::output, DType::f32, {1003}),
             Argument("ranges", ArgumentKind::output, DType::i64, {1003})),
        List(Launch(testing::kThroughScratch, List(Arg(0, 0, 4012), Arg(1, 0, 4012)), {100}, 1003, 100),
             Launch(testing::kRanges, List(Arg(2, 0, 8024)), {}, 1003, 100)),
        threads);
    std::vector<float> x(1003), y(1003);
    std::vector<int64_t> ranges(1003);
    for (int i = 0; i < 1003; ++i) x[i] = float(i) / 3;
    for (int run = 0; run < 20; ++run) ASSERT_TRUE(session->Run(0, {Bound(x), Bound(y), Bound(ranges)}).ok());
    for (int i = 0; i < 1003; ++i) ASSERT_EQ(y[i], x[i] * 2) << i;
    // Each item says where its piece began: no thread's share is less than 250 items.
    const size_t pieces = std::set<int64_t>(ranges.begin(), ranges.end()).size();
    EXPECT_GE(pieces, size_t(threads));
    EXPECT_LE(pieces, size_t(1003 / 100 + threads));
  }
}

TEST(Executor, ChecksWhatIsBound) {
  auto session =
      OneEntry(0,
               List(Argument("tokens", ArgumentKind::input, DType::i32, {4}, true, 100),
                    Argument("count", ArgumentKind::input, DType::i64, {}),
                    Argument("wide", ArgumentKind::input, DType::i64, {2}, false, int64_t{1} << 40)),
               List(RunTimeLoop(1, List(testing::Zero(InArena(0, 0))))));
  std::vector<int32_t> tokens(8, 99);
  std::vector<int64_t> count = {2}, wide = {0, (int64_t{1} << 40) - 1};
  auto run = [&] { return session->Run(0, {Bound(tokens), Bound(count), Bound(wide)}); };
  EXPECT_TRUE(run().ok()) << run();
  tokens[5] = 100;
  EXPECT_EQ(run().message(),
            "argument 'tokens' of entry 'run': element 5 is 100 when it should lie in [0, 100)");
  tokens[5] = -1;
  EXPECT_EQ(run().message(),
            "argument 'tokens' of entry 'run': element 5 is -1 when it should lie in [0, 100)");
  tokens[5] = 0;
  wide[1] = int64_t{1} << 40;
  EXPECT_EQ(
      run().message(),
      "argument 'wide' of entry 'run': element 1 is 1099511627776 when it should lie in [0, 1099511627776)");
  wide[1] = 0;
  count[0] = 3;
  EXPECT_EQ(
      run().message(),
      "argument 'tokens' of entry 'run': has 32 bytes when it should have 48 (16 times the trip count 3)");
  count[0] = INT64_MAX;
  EXPECT_EQ(
      run().message(),
      "argument 'tokens' of entry 'run': a trip count of 9223372036854775807 is more than any memory holds");
  count[0] = 2;
  EXPECT_EQ(session->Run(0, {Bound(tokens)}).message(),
            "entry 'run' is given 1 arguments when it has 3: tokens, count, wide");
  EXPECT_EQ(session->Run(0, {Bound(tokens), Binding(), Bound(wide)}).message(),
            "argument 'count' of entry 'run': has 0 bytes when it should be one i64, the trip count");
  EXPECT_EQ(session->Run(0, {Binding(nullptr, 32), Bound(count), Bound(wide)}).message(),
            "argument 'tokens' of entry 'run': is not bound");
  EXPECT_EQ(
      session->Run(0, {Binding(reinterpret_cast<char *>(tokens.data()) + 1, 32), Bound(count), Bound(wide)})
          .message(),
      "argument 'tokens' of entry 'run': is not aligned to 4 bytes");
  EXPECT_EQ(session->Run(1, {}).message(), "entry index is 1 when there are 1");
  EXPECT_EQ(session->FindEntry("walk").status().message(), "f.weft: has no entry 'walk'; it has run");
  EXPECT_EQ(session->FindArgument(0, "x").status().message(),
            "entry 'run' has no argument 'x'; it has tokens, count, wide");
  EXPECT_EQ(*session->FindArgument(0, "wide"), 2);
}

TEST(Executor, ProfileSeesEachInstruction) {
  auto session = OneEntry(16, {},
                          List(testing::Zero(InArena(0, 16)),
                               Loop(0, 3, List(Launch(testing::kRanges, List(InArena(0, 16)), {}, 2)))));
  std::vector<StepEvent> events;
  session->set_profile({[](void *context, const StepEvent &event) {
                          static_cast<std::vector<StepEvent> *>(context)->push_back(event);
                        },
                        &events});
  ASSERT_TRUE(session->Run(0, {}).ok());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].instruction->op_type(), fb::Op::Zero);
  for (int i = 1; i < 4; ++i) {
    ASSERT_EQ(events[i].instruction->op_type(), fb::Op::Launch);
    EXPECT_EQ(events[i].instruction->op_as_Launch()->kernel(), testing::kRanges);
    EXPECT_LE(events[i].start_ns, events[i].end_ns);
    EXPECT_GE(events[i].start_ns, events[i - 1].end_ns);
  }
  session->set_profile({});
  ASSERT_TRUE(session->Run(0, {}).ok());
  EXPECT_EQ(events.size(), 4u);
}

TEST(Executor, ProfileSeesEachThreadsShareAndTheIterations) {
  auto session = OneEntry(
      64, {}, List(Loop(2, 4, List(Launch(testing::kRanges, List(InArena(0, 64)), {}, 2)), true)), 3);
  struct Seen {
    std::vector<int64_t> iterations;
    int shares = 0;
    std::atomic<int> begun{0}, ended{0};
  } seen;
  session->set_profile({[](void *context, const StepEvent &event) {
                          static_cast<Seen *>(context)->iterations.push_back(event.counters[0]);
                          ASSERT_EQ(event.shares.size(), 3u);
                          int with_share = 0;
                          for (const ThreadShare &share : event.shares) {
                            if (share.end_ns == 0) continue;
                            ++with_share;
                            EXPECT_GE(share.start_ns, event.start_ns);
                            EXPECT_GE(share.end_ns, share.start_ns);
                            EXPECT_LE(share.end_ns, event.end_ns);
                          }
                          EXPECT_GE(with_share, 1); // two items, of threads that are there in time
                          EXPECT_LE(with_share, 2);
                          static_cast<Seen *>(context)->shares += with_share;
                        },
                        &seen,
                        [](void *context, int, bool begins) {
                          Seen &s = *static_cast<Seen *>(context);
                          ++(begins ? s.begun : s.ended);
                        }});
  ASSERT_TRUE(session->Run(0, {}).ok());
  EXPECT_EQ(seen.iterations, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(seen.begun, seen.shares);
  EXPECT_EQ(seen.ended, seen.shares);
}

} // namespace
} // namespace weft
