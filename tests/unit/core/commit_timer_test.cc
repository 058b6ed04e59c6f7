// SPDX-License-Identifier: MIT
#include "core/commit_timer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
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

// A timer that is at work on one store until go(), so that others can be due
// for as long as they like.
class BusyTimer : public testing::Test {
 protected:
  BusyTimer() {
    busy_.hold(true);
    timer_.arm(busy_, hours(0));
    eventually([&] { return busy_.is_committing(); });
  }
  ~BusyTimer() override { go(); }

  void go() { busy_.hold(false); }

  Store busy_;
  Store a_;
  Store b_;
  Store c_;
  std::vector<Store*> order_;
  CommitTimer timer_;  // last: its thread uses everything above
};

TEST_F(BusyTimer, those_that_are_due_first_are_committed_first) {
  for (Store* store : {&a_, &b_, &c_}) store->write_order_to(&order_);
  timer_.arm(a_, -hours(1));
  timer_.arm(b_, -hours(2));
  timer_.arm(c_, hours(0));

  go();

  eventually([&] { return c_.commits() == 1; });
  EXPECT_EQ(order_, (std::vector<Store*>{&b_, &a_, &c_}));
}

TEST_F(BusyTimer, a_forgotten_store_is_not_committed) {
  timer_.arm(a_, -hours(1));
  timer_.arm(b_, hours(0));

  timer_.forget(a_);
  go();

  eventually([&] { return b_.commits() == 1; });
  EXPECT_EQ(a_.commits(), 0u);
}

TEST(CommitTimer, forgetting_waits_for_a_commit_under_way) {
  auto store = std::make_unique<Store>();
  CommitTimer timer;
  store->hold(true);
  timer.arm(*store, milliseconds(1));
  eventually([&] { return store->is_committing(); });
  std::thread releaser([&] {
    give_others_time();
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
