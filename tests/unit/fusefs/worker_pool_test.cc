// SPDX-License-Identifier: MIT
#include "fusefs/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "tests/support/eventually.h"

namespace snapfs {
namespace {

class Call : public WorkItem {
 public:
  explicit Call(std::function<void()> body) : body_(std::move(body)) {}
  void run() noexcept override { body_(); }

 private:
  std::function<void()> body_;
};

TEST(WorkerPool, does_things_in_their_order) {
  std::vector<int> order;
  std::vector<std::unique_ptr<Call>> calls;
  WorkerPool pool(1);
  for (int i = 0; i < 100; ++i) {
    calls.push_back(
        std::make_unique<Call>([&order, i] { order.push_back(i); }));
    pool.submit(*calls.back());
  }
  pool.wait_idle();
  ASSERT_EQ(100U, order.size());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(i, order[static_cast<size_t>(i)]);
}

TEST(WorkerPool, works_on_as_many_as_it_has_threads) {
  std::atomic<unsigned> inside{0};
  auto body = [&] {
    ++inside;
    test::eventually([&] { return inside == 3; });
  };
  Call a(body), b(body), c(body);
  WorkerPool pool(3);
  for (Call* call : {&a, &b, &c}) pool.submit(*call);
  pool.wait_idle();
  EXPECT_EQ(3U, inside);
}

TEST(WorkerPool, item_may_queue_itself_again_and_destroy_itself) {
  struct Again : WorkItem {
    Again(WorkerPool& pool_in, std::atomic<int>& left_in)
        : pool(pool_in), left(left_in) {}
    void run() noexcept override {
      if (--left > 0) {
        pool.submit(*this);
      } else {
        delete this;
      }
    }
    WorkerPool& pool;
    std::atomic<int>& left;
  };
  std::atomic<int> left{1000};
  WorkerPool pool(4);
  pool.submit(*new Again(pool, left));
  pool.wait_idle();
  EXPECT_EQ(0, left);
}

TEST(WorkerPool, finishes_what_is_queued_before_it_ends) {
  std::atomic<int> done{0};
  std::vector<std::unique_ptr<Call>> calls;
  {
    WorkerPool pool(2);
    for (int i = 0; i < 50; ++i) {
      calls.push_back(std::make_unique<Call>([&] { ++done; }));
      pool.submit(*calls.back());
    }
  }
  EXPECT_EQ(50, done);
}

}  // namespace
}  // namespace snapfs
