// SPDX-License-Identifier: MIT
#include "core/commit_timer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "tests/support/eventually.h"

namespace snapfs::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class Store : public Committable {
 public:
  void commit_pending() noexcept override {
    is_committing_ = true;
    while (held_) std::this_thread::yield();
    if (order_ != nullptr) order_->push_back(this);
    is_committing_ = false;
    ++commits_;
  }

  unsigned commits() const { return commits_; }
  bool is_committing() const { return is_committing_; }
  void hold(bool held) { held_ = held; }
  void write_order_to(std::vector<Store*>* order) { order_ = order; }

 private:
  std::atomic<unsigned> commits_{0};
  std::atomic<bool> is_committing_{false};
  std::atomic<bool> held_{false};
  std::vector<Store*>* order_ = nullptr;
};

TEST(CommitTimer, an_armed_store_is_committed_once) {
  Store store;
  Store later;
  CommitTimer timer;

  timer.arm(store, milliseconds(1));
  timer.arm(later, milliseconds(20));

  eventually([&] { return later.commits() == 1; });
  EXPECT_EQ(store.commits(), 1u);
}

TEST(CommitTimer, a_store_that_is_armed_again_is_committed_again) {
  Store store;
  CommitTimer timer;
  timer.arm(store, milliseconds(1));
  eventually([&] { return store.commits() == 1; });

  timer.arm(store, milliseconds(1));

  eventually([&] { return store.commits() == 2; });
}

TEST(CommitTimer, a_store_that_is_due_earlier_stays_so) {
  Store store;
  CommitTimer timer;
  timer.arm(store, milliseconds(1));

  timer.arm(store, hours(1));

  eventually([&] { return store.commits() == 1; });
  timer.forget(store);
}

TEST(CommitTimer, those_that_are_due_first_are_committed_first) {
  std::vector<Store*> order;
  Store a;
  Store b;
  Store c;
  for (Store* store : {&a, &b, &c}) store->write_order_to(&order);
  CommitTimer timer;

  timer.arm(a, milliseconds(60));
  timer.arm(b, milliseconds(30));
  timer.arm(c, milliseconds(90));

  eventually([&] { return c.commits() == 1; });
  EXPECT_EQ(order, (std::vector<Store*>{&b, &a, &c}));
}

TEST(CommitTimer, a_forgotten_store_is_not_committed) {
  Store forgotten;
  Store other;
  CommitTimer timer;
  timer.arm(forgotten, milliseconds(20));
  timer.arm(other, milliseconds(40));

  timer.forget(forgotten);

  eventually([&] { return other.commits() == 1; });
  EXPECT_EQ(forgotten.commits(), 0u);
}

TEST(CommitTimer, forgetting_waits_for_a_commit_under_way) {
  CommitTimer timer;
  auto store = std::make_unique<Store>();
  store->hold(true);
  timer.arm(*store, milliseconds(1));
  eventually([&] { return store->is_committing(); });
  std::thread releaser([&] {
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    store->hold(false);
  });

  timer.forget(*store);

  EXPECT_FALSE(store->is_committing());
  EXPECT_EQ(store->commits(), 1u);
  releaser.join();
  store.reset();
}

TEST(CommitTimer, a_store_armed_while_it_is_committed_is_committed_again) {
  Store store;
  CommitTimer timer;
  store.hold(true);
  timer.arm(store, milliseconds(1));
  eventually([&] { return store.is_committing(); });

  timer.arm(store, milliseconds(1));
  store.hold(false);

  eventually([&] { return store.commits() == 2; });
}

TEST(CommitTimer, it_ends_while_nothing_is_pending) {
  for (int i = 0; i < 20; ++i) CommitTimer timer;

  SUCCEED() << "its thread was joined";
}

}  // namespace
}  // namespace snapfs::test
