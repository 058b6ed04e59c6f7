// SPDX-License-Identifier: MIT
#include "core/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "tests/support/eventually.h"

namespace snapfs::test {
namespace {

// A request that writes down when it is woken.
class Request : public Parked {
 public:
  explicit Request(std::vector<int>* order = nullptr, int number = 0)
      : order_(order), number_(number) {}

  void wake() override {
    if (order_ != nullptr) order_->push_back(number_);
    ++wakes_;  // last: its owner may end it now
  }
  unsigned wakes() const { return wakes_; }

 private:
  std::atomic<unsigned> wakes_{0};
  std::vector<int>* const order_;
  const int number_;
};

TEST(Admission, an_open_gate_lets_everybody_in) {
  Admission gate;
  Request request;

  auto a = gate.enter(request);
  auto b = gate.enter(request);

  EXPECT_TRUE(a.has_value());
  EXPECT_TRUE(b.has_value());
  EXPECT_EQ(gate.parked_count(), 0u);
  EXPECT_FALSE(gate.is_closed());
}

TEST(Admission, a_closed_gate_parks_and_opening_wakes_in_order_of_arrival) {
  Admission gate;
  std::vector<int> order;
  Request first(&order, 1);
  Request second(&order, 2);
  Request third(&order, 3);
  gate.close();
  for (Request* request : {&first, &second, &third}) {
    EXPECT_FALSE(gate.enter(*request).has_value());
  }
  EXPECT_EQ(gate.parked_count(), 3u);

  gate.open();

  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(gate.parked_count(), 0u);
  EXPECT_TRUE(gate.enter(first).has_value());
}

TEST(Admission, a_request_is_woken_once_for_each_time_it_was_parked) {
  Admission gate;
  Request request;
  gate.close();
  EXPECT_FALSE(gate.enter(request).has_value());
  gate.open();
  gate.close();
  EXPECT_FALSE(gate.enter(request).has_value());
  gate.open();
  gate.close();
  gate.open();

  EXPECT_EQ(request.wakes(), 2u);
}

TEST(Admission, closing_nests) {
  Admission gate;
  Request request;
  gate.close();
  gate.close();
  EXPECT_FALSE(gate.enter(request).has_value());

  gate.open();
  EXPECT_TRUE(gate.is_closed());
  EXPECT_EQ(request.wakes(), 0u);
  gate.open();

  EXPECT_FALSE(gate.is_closed());
  EXPECT_EQ(request.wakes(), 1u);
}

TEST(Admission, a_withdrawn_request_is_not_woken) {
  Admission gate;
  Request stays;
  Request leaves;
  gate.close();
  EXPECT_FALSE(gate.enter(stays).has_value());
  EXPECT_FALSE(gate.enter(leaves).has_value());

  EXPECT_TRUE(gate.withdraw(leaves));
  EXPECT_FALSE(gate.withdraw(leaves));
  gate.open();

  EXPECT_EQ(leaves.wakes(), 0u);
  EXPECT_EQ(stays.wakes(), 1u);
}

TEST(Admission, a_request_that_has_been_woken_cannot_be_withdrawn) {
  Admission gate;
  Request request;
  gate.close();
  EXPECT_FALSE(gate.enter(request).has_value());
  gate.open();

  EXPECT_FALSE(gate.withdraw(request));
}

TEST(Admission, wake_all_wakes_without_opening) {
  Admission gate;
  Request request;
  gate.close();
  EXPECT_FALSE(gate.enter(request).has_value());

  gate.wake_all();

  EXPECT_EQ(request.wakes(), 1u);
  EXPECT_TRUE(gate.is_closed());
  EXPECT_EQ(gate.parked_count(), 0u);
  gate.open();
  EXPECT_EQ(request.wakes(), 1u);
}

TEST(Admission, drain_waits_for_those_inside) {
  Admission gate;
  Request request;
  auto a = gate.enter(request);
  auto b = gate.enter(request);
  gate.close();
  std::atomic<bool> arrived{false};
  std::atomic<bool> drained{false};
  std::thread closer([&] {
    arrived = true;
    gate.drain();
    drained = true;
  });
  eventually([&] { return arrived.load(); });
  a.reset();
  give_others_time();
  EXPECT_FALSE(drained);

  b.reset();

  closer.join();
  EXPECT_TRUE(drained);
}

TEST(Admission, a_moved_pass_is_inside_once) {
  Admission gate;
  Request request;
  auto pass = gate.enter(request);
  {
    Admission::Pass moved = std::move(*pass);
    pass.reset();
    gate.close();
  }

  gate.drain();

  SUCCEED() << "nobody is inside";
}

TEST(Admission, those_who_wait_at_a_closed_gate_go_on_when_it_opens) {
  Admission gate;
  std::atomic<unsigned> arrived{0};
  std::atomic<unsigned> entered{0};
  gate.close();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      ++arrived;
      auto pass = gate.enter_or_wait();
      ++entered;
    });
  }
  eventually([&] { return arrived == 4; });
  give_others_time();
  EXPECT_EQ(entered, 0u);

  gate.open();

  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(entered, 4u);
}

// Each request is either inside, or woken after the gate was opened: none is
// forgotten, none is inside while the gate is closed and drained.
TEST(Admission, nobody_is_lost_and_nobody_is_inside_a_drained_gate) {
  constexpr unsigned kThreads = 4;
  constexpr unsigned kEntries = 2000;
  Admission gate;
  std::atomic<int> inside{0};
  std::atomic<unsigned> finished{0};
  std::atomic<bool> violated{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (unsigned n = 0; n < kEntries; ++n) {
        Request request;
        for (unsigned wakes = 0;; ++wakes) {
          if (auto pass = gate.enter(request)) {
            ++inside;
            std::this_thread::yield();
            --inside;
            break;
          }
          eventually([&] { return request.wakes() > wakes; });
        }
      }
      ++finished;
    });
  }

  while (finished < kThreads) {
    gate.close();
    gate.drain();
    if (inside != 0) violated = true;
    gate.open();
    std::this_thread::yield();
  }

  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(violated);
  EXPECT_EQ(gate.parked_count(), 0u);
}

}  // namespace
}  // namespace snapfs::test
