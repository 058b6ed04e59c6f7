// SPDX-License-Identifier: MIT
//
// The standard library's locks with clang's thread-safety annotations, so that
// `-Wthread-safety` refuses an access without its lock. g++ sees plain locks.
#pragma once

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define SNAPFS_ANNOTATE(x) __attribute__((x))
#else
#define SNAPFS_ANNOTATE(x)
#endif

#define CAPABILITY(x) SNAPFS_ANNOTATE(capability(x))
#define SCOPED_CAPABILITY SNAPFS_ANNOTATE(scoped_lockable)
#define GUARDED_BY(x) SNAPFS_ANNOTATE(guarded_by(x))
#define PT_GUARDED_BY(x) SNAPFS_ANNOTATE(pt_guarded_by(x))
#define REQUIRES(...) SNAPFS_ANNOTATE(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) \
  SNAPFS_ANNOTATE(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...) SNAPFS_ANNOTATE(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) \
  SNAPFS_ANNOTATE(acquire_shared_capability(__VA_ARGS__))
#define RELEASE(...) SNAPFS_ANNOTATE(release_capability(__VA_ARGS__))
#define RELEASE_GENERIC(...) \
  SNAPFS_ANNOTATE(release_generic_capability(__VA_ARGS__))
#define EXCLUDES(...) SNAPFS_ANNOTATE(locks_excluded(__VA_ARGS__))
#define ACQUIRED_AFTER(...) SNAPFS_ANNOTATE(acquired_after(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS SNAPFS_ANNOTATE(no_thread_safety_analysis)

namespace snapfs {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class CAPABILITY("shared_mutex") SharedMutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }
  void lock_shared() ACQUIRE_SHARED() { mutex_.lock_shared(); }
  void unlock_shared() RELEASE() { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

// Holds a Mutex for a scope; may be released early and taken again.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() RELEASE() {
    held_ = false;
    mutex_.unlock();
  }
  void lock() ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

class SCOPED_CAPABILITY ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mutex) ACQUIRE_SHARED(mutex)
      : mutex_(mutex) {
    mutex_.lock_shared();
  }
  ~ReaderLock() RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class SCOPED_CAPABILITY WriterLock {
 public:
  explicit WriterLock(SharedMutex& mutex) ACQUIRE(mutex) : mutex_(mutex) {
    mutex_.lock();
  }
  ~WriterLock() RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) { condition_.wait(mutex); }

  template <typename TimePoint>
  std::cv_status wait_until(Mutex& mutex, TimePoint deadline) REQUIRES(mutex) {
    return condition_.wait_until(mutex, deadline);
  }

  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace snapfs
