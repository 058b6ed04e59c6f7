// SPDX-License-Identifier: MIT
//
// The things one can ask of a BlockDevice, as bits, so that a test can speak of
// "any write".
#pragma once

namespace snapfs::test {

enum Op : unsigned {
  kRead = 1,
  kWrite = 2,
  kWriteDurable = 4,
  kZero = 8,
  kFlush = 16,
  kSize = 32,  // size()
  kGrow = 64,  // grow() and backing()
};

inline constexpr unsigned kOpCount = 7;
inline constexpr unsigned kAnyWrite = kWrite | kWriteDurable | kZero;
inline constexpr unsigned kAnyBarrier = kWriteDurable | kFlush;
// What moves data.
inline constexpr unsigned kAnyOp = kRead | kAnyWrite | kFlush;

}  // namespace snapfs::test
