#include "runtime/comm/local.h"
#include "runtime/comm/tree_sum.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

namespace weft {
namespace {

// Runs `body` on a thread for each rank; returns their results.
std::vector<absl::Status> OnRanks(int data, int pipeline,
                                  const std::function<absl::Status(Communicator &)> &body) {
  auto mesh = LocalMesh::Create(data, pipeline);
  EXPECT_TRUE(mesh.ok());
  std::vector<absl::Status> results((*mesh)->size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < (*mesh)->size(); ++rank)
    threads.emplace_back([&, rank] { results[rank] = body((*mesh)->communicator(rank)); });
  for (std::thread &thread : threads) thread.join();
  return results;
}

void ExpectOk(const std::vector<absl::Status> &results) {
  for (const absl::Status &status : results) EXPECT_TRUE(status.ok()) << status;
}

// The definition, without blocks.
float Tree(const std::vector<float> &values, size_t first, size_t last) {
  if (last - first == 1) return values[first];
  size_t half = 1;
  while (half * 2 < last - first) half *= 2;
  return Tree(values, first, first + half) + Tree(values, first + half, last);
}

TEST(TreeSum, SplitsAtTheLargestPowerOfTwo) {
  // 1e8 swallows a single 1 in f32, so the order shows: ((a + b) + (c + d)) + e.
  std::vector<float> values = {1e8f, 1.f, -1e8f, 1.f, 3.f};
  EXPECT_EQ(((1e8f + 1.f) + (-1e8f + 1.f)) + 3.f, Tree(values, 0, 5));
  std::vector<void *> sources;
  for (float &value : values) sources.push_back(&value);
  float expected = Tree(values, 0, 5);
  TreeSumInPlace(sources, fb::DType::f32, 0, 1);
  for (float value : values) EXPECT_EQ(value, expected);
}

TEST(LocalMesh, AllReduceIsTheTreeOnEveryRank) {
  for (int ranks : {1, 2, 3, 4, 5, 7})
    for (int64_t n : {0, 1, 15, 16, 17, 1000, 5000}) {
      std::mt19937 random(ranks * 100 + n);
      std::vector<std::vector<float>> inputs(ranks, std::vector<float>(n));
      for (auto &input : inputs)
        for (float &value : input) value = std::ldexp(float(random()) - 2e9f, int(random() % 20) - 40);
      std::vector<float> expected(n);
      for (int64_t i = 0; i < n; ++i) {
        std::vector<float> column;
        for (auto &input : inputs) column.push_back(input[i]);
        expected[i] = Tree(column, 0, column.size());
      }
      auto values = inputs;
      ExpectOk(OnRanks(ranks, 1, [&](Communicator &c) {
        return c.AllReduceSum(values[c.rank()].data(), fb::DType::f32, n, kDataAxis);
      }));
      for (auto &value : values)
        EXPECT_EQ(n == 0 ? 0 : std::memcmp(value.data(), expected.data(), n * sizeof(float)), 0)
            << ranks << " ranks, n " << n;
    }
}

TEST(LocalMesh, AllReduceSumsIntegersAndDoubles) {
  ExpectOk(OnRanks(3, 1, [](Communicator &c) {
    int32_t small[3] = {c.rank(), INT32_MAX, -1};
    int64_t large[2] = {int64_t{1} << 40, c.rank()};
    double real[1] = {0.25 * (c.rank() + 1)};
    if (auto s = c.AllReduceSum(small, fb::DType::i32, 3, kDataAxis); !s.ok()) return s;
    if (auto s = c.AllReduceSum(large, fb::DType::i64, 2, kDataAxis); !s.ok()) return s;
    if (auto s = c.AllReduceSum(real, fb::DType::f64, 1, kDataAxis); !s.ok()) return s;
    EXPECT_EQ(small[0], 3);
    EXPECT_EQ(small[1], INT32_MAX - 2); // 3 * (2^31 - 1) modulo 2^32
    EXPECT_EQ(small[2], -3);
    EXPECT_EQ(large[0], int64_t{3} << 40);
    EXPECT_EQ(large[1], 3);
    EXPECT_EQ(real[0], 1.5);
    return absl::OkStatus();
  }));
}

TEST(LocalMesh, AxesAreApart) {
  ExpectOk(OnRanks(2, 3, [](Communicator &c) {
    EXPECT_EQ(c.rank(), c.position(kDataAxis) * 3 + c.position(kPipelineAxis));
    for (int round = 0; round < 50; ++round) {
      int64_t over_data = c.rank(), over_pipeline = c.rank();
      if (auto s = c.AllReduceSum(&over_data, fb::DType::i64, 1, kDataAxis); !s.ok()) return s;
      if (auto s = c.AllReduceSum(&over_pipeline, fb::DType::i64, 1, kPipelineAxis); !s.ok()) return s;
      EXPECT_EQ(over_data, 2 * c.position(kPipelineAxis) + 3);
      EXPECT_EQ(over_pipeline, 9 * c.position(kDataAxis) + 3);
      if (auto s = c.Barrier(); !s.ok()) return s;
    }
    return absl::OkStatus();
  }));
}

TEST(LocalMesh, BroadcastsFromAnyRoot) {
  ExpectOk(OnRanks(3, 1, [](Communicator &c) {
    for (int root = 0; root < 3; ++root) {
      char text[8] = "no";
      if (c.rank() == root) std::snprintf(text, sizeof text, "root %d", root);
      if (auto s = c.Broadcast(text, sizeof text, root, kDataAxis); !s.ok()) return s;
      EXPECT_EQ(std::string(text), "root " + std::to_string(root));
    }
    return absl::OkStatus();
  }));
}

TEST(LocalMesh, MessagesKeepOrderWithinATagAndNotAcross) {
  ExpectOk(OnRanks(1, 2, [](Communicator &c) {
    if (c.rank() == 0) {
      for (int i = 0; i < 100; ++i)
        for (int tag : {1, 2}) {
          int value = i * 10 + tag;
          if (auto s = c.Send(&value, sizeof value, kPipelineAxis, 1, tag); !s.ok()) return s;
        }
      return absl::OkStatus();
    }
    for (int tag : {2, 1})
      for (int i = 0; i < 100; ++i) {
        int value = 0;
        if (auto s = c.Receive(&value, sizeof value, kPipelineAxis, 0, tag); !s.ok()) return s;
        EXPECT_EQ(value, i * 10 + tag);
      }
    return absl::OkStatus();
  }));
}

TEST(LocalMesh, BothMaySendBeforeEitherReceives) {
  ExpectOk(OnRanks(1, 2, [](Communicator &c) {
    std::vector<char> out(1 << 20, char('a' + c.rank())), in(1 << 20);
    if (auto s = c.Send(out.data(), out.size(), kPipelineAxis, 1 - c.rank(), 0); !s.ok()) return s;
    if (auto s = c.Receive(in.data(), in.size(), kPipelineAxis, 1 - c.rank(), 0); !s.ok()) return s;
    EXPECT_EQ(in, std::vector<char>(1 << 20, char('b' - c.rank())));
    return absl::OkStatus();
  }));
}

TEST(LocalMesh, AFailingRankReleasesTheOthers) {
  auto results = OnRanks(4, 1, [](Communicator &c) -> absl::Status {
    if (c.rank() == 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      c.Abort(absl::DataLossError("rank 2 lost its data"));
      return absl::OkStatus();
    }
    int64_t value = 0;
    return c.rank() == 0 ? c.Receive(&value, 8, kDataAxis, 1, 0)
                         : c.AllReduceSum(&value, fb::DType::i64, 1, kDataAxis);
  });
  for (int rank : {0, 1, 3}) EXPECT_EQ(results[rank], absl::DataLossError("rank 2 lost its data"));
}

TEST(LocalMesh, FindsADeadlock) {
  auto results = OnRanks(1, 2, [](Communicator &c) {
    int value = 0;
    return c.Receive(&value, sizeof value, kPipelineAxis, 1 - c.rank(), 5);
  });
  for (const absl::Status &status : results)
    EXPECT_EQ(status.message(),
              "every rank waits and none can go on: rank 0 for a message from rank 1 with tag 5; rank 1 "
              "for a message from rank 0 with tag 5");
}

TEST(LocalMesh, RefusesWhatDoesNotMatch) {
  auto results = OnRanks(2, 1, [](Communicator &c) {
    float values[2] = {};
    return c.AllReduceSum(values, fb::DType::f32, 1 + c.rank(), kDataAxis);
  });
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0].message().find("when the others are at all-reduce of size"), absl::string_view::npos)
      << results[0];

  results = OnRanks(1, 2, [](Communicator &c) {
    float values[2] = {};
    return c.rank() == 0 ? c.Send(values, 8, kPipelineAxis, 1, 0) : c.Receive(values, 4, kPipelineAxis, 0, 0);
  });
  EXPECT_EQ(results[1].message(), "rank 1 receives 4 bytes from rank 0 with tag 0 when 8 were sent");

  results = OnRanks(1, 1, [](Communicator &c) { return c.Send(nullptr, 0, kPipelineAxis, 1, 0); });
  EXPECT_EQ(results[0].message(), "send names peer 1 when axis 1 has 1 ranks");
  EXPECT_EQ(LocalMesh::Create(0, 1).status().message(),
            "a mesh of 0 x 1 ranks is not possible: both should be at least 1, with 4096 ranks at most");
}

} // namespace
} // namespace weft
