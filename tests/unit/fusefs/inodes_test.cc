// SPDX-License-Identifier: MIT
//
// Nodes and open files by number.
#include "fusefs/inodes.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <system_error>

#include "fusefs/handle_table.h"

namespace snapfs {
namespace {

class TestNode : public Node {
 public:
  using Node::Node;
  struct stat attributes() const override {
    return {};
  }
};

TEST(Inodes, node_lives_as_long_as_the_kernel_looks_it_up) {
  Inodes inodes;
  auto node = std::make_shared<TestNode>(7);
  std::weak_ptr<Node> weak = node;
  inodes.remember(node);
  inodes.remember(node);
  node.reset();
  inodes.forget(7, 1);
  EXPECT_EQ(weak.lock(), inodes.find(7));
  inodes.forget(7, 1);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(0U, inodes.size());
  EXPECT_THROW(inodes.find(7), std::system_error);
}

TEST(Inodes, forgetting_too_much_or_twice_does_no_harm) {
  Inodes inodes;
  inodes.remember(std::make_shared<TestNode>(7));
  inodes.forget(7, 100);
  inodes.forget(7, 1);
  EXPECT_EQ(0U, inodes.size());
}

TEST(Inodes, second_object_of_the_same_number_is_not_taken) {
  Inodes inodes;
  auto first = std::make_shared<TestNode>(7);
  inodes.remember(first);
  EXPECT_EQ(first, inodes.remember(std::make_shared<TestNode>(7)));
}

TEST(Inodes, pinned_node_is_never_forgotten) {
  Inodes inodes;
  inodes.pin(std::make_shared<TestNode>(1));
  inodes.forget(1, 5);
  EXPECT_NE(nullptr, inodes.find(1));
}

class TestHandle : public Handle {};

TEST(HandleTable, numbers_are_used_again_only_after_they_are_given_back) {
  HandleTable table;
  std::set<uint64_t> numbers;
  for (int i = 0; i < 3000; ++i) {
    numbers.insert(table.add(std::make_unique<TestHandle>()));
  }
  EXPECT_EQ(3000U, numbers.size());
  uint64_t given_back = *numbers.begin();
  EXPECT_NE(nullptr, table.take(given_back));
  EXPECT_EQ(given_back, table.add(std::make_unique<TestHandle>()));
}

TEST(HandleTable, finds_what_was_added) {
  HandleTable table;
  auto handle = std::make_unique<TestHandle>();
  Handle* address = handle.get();
  uint64_t number = table.add(std::move(handle));
  EXPECT_EQ(address, table.get(number).get());
}

}  // namespace
}  // namespace snapfs
