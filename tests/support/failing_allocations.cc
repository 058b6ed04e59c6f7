// SPDX-License-Identifier: MIT
#include "tests/support/failing_allocations.h"

#include <cstdlib>
#include <new>

namespace snapfs::test {
namespace {

thread_local bool t_is_armed = false;
thread_local uint64_t t_left = 0;  // allocations before the one that fails
thread_local bool t_has_failed = false;

void* allocate(std::size_t size) {
  if (t_is_armed && !t_has_failed && t_left-- == 0) {
    t_has_failed = true;
    throw std::bad_alloc();
  }
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

FailingAllocation::FailingAllocation(uint64_t skip) {
  t_left = skip;
  t_has_failed = false;
  t_is_armed = true;
}

FailingAllocation::~FailingAllocation() { t_is_armed = false; }

bool FailingAllocation::has_failed() const { return t_has_failed; }

}  // namespace snapfs::test

void* operator new(std::size_t size) { return snapfs::test::allocate(size); }
void* operator new[](std::size_t size) { return snapfs::test::allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return snapfs::test::allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
