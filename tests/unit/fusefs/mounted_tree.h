// SPDX-License-Identifier: MIT
//
// A real mount of a tree over devices in memory, for tests that are about what
// programs see. The devices count and can be held back; the mount is taken off
// at the end, whatever has happened.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "config/table_reader.h"
#include "core/device_set.h"
#include "core/unique_fd.h"
#include "fusefs/event_log.h"
#include "fusefs/filesystem.h"
#include "fusefs/session.h"
#include "fusefs/write_back.h"
#include "tests/support/command.h"
#include "tests/support/counting_device.h"
#include "tests/support/eventually.h"
#include "tests/support/forked_child.h"
#include "tests/support/memory_device.h"
#include "tests/support/memory_opener.h"
#include "tests/support/scratch_mount.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {

class MountedTree {
 public:
  static constexpr uint64_t kOriginBytes = uint64_t{4} << 20;
  static constexpr uint64_t kCowBytes = uint64_t{4} << 20;

  // Devices: base, an origin on "/origin", and snap, a snapshot of it on
  // "/cow"; "/cow2" is free. `can_map` false: as on a kernel before 6.6.
  explicit MountedTree(bool can_map = true)
      : origin_(std::make_shared<CountingDevice>(
            std::make_shared<MemoryDevice>(kOriginBytes, "/origin"))),
        events_([](bool, const std::string&) {}) {
    opener_.add("/origin", origin_);
    opener_.add("/cow", kCowBytes);
    opener_.add("/cow2", kCowBytes);
    devices_ = std::make_unique<DeviceSet>(opener_, events_);
    load("base", base_text());
    load("snap", snapshot_text("/cow"));
    filesystem_ = std::make_unique<Filesystem>(
        *devices_, events_,
        Filesystem::Options{.uid = ::geteuid(),
                            .gid = ::getegid(),
                            .base_dir = "/",
                            .mount_point = path(),
                            .write_back = &write_back_});
    session_ = std::make_unique<Session>(
        Filesystem::operations(), filesystem_.get(),
        Session::Options{.mount_options = {"allow_other", "default_permissions",
                                           "fsname=test", "subtype=snapfs"}});
    filesystem_->attach(session_->get());
    session_->mount(path());
    write_back_.set_mount(path(), session_->device().value_or(0));
    InitOutcome outcome = session_->negotiate();
    filesystem_->set_direct_io_mmap(can_map && outcome.direct_io_mmap);
    can_map_ = can_map && outcome.direct_io_mmap;
    origin_->reset_counts();
    loop_ = std::thread([this] { session_->run(); });
  }

  ~MountedTree() {
    filesystem_->shut_down();
    if (session_->unmount() != Session::UnmountResult::done) {
      ADD_FAILURE() << "the mount is still in use";
      session_->end();
    }
    loop_.join();
    session_.reset();
    filesystem_.reset();
  }

  static std::string base_text() {
    return "target: snapshot-origin\ndevice: /origin\n";
  }
  static std::string snapshot_text(const std::string& cow) {
    return "target: snapshot\norigin: base\ncow: " + cow +
           "\nstore: P\nchunk_size: 4KiB\n";
  }

  std::string path() const { return directory_.path(); }
  std::string path(const std::string& name) const {
    return directory_.path() + "/" + name;
  }
  std::string table(const std::string& file) const {
    return path(".control/tables/" + file);
  }

  DeviceSet& devices() { return *devices_; }
  EventLog& events() { return events_; }
  CountingDevice& origin() { return *origin_; }
  Filesystem& filesystem() { return *filesystem_; }
  WriteBackProcess& write_back() { return write_back_; }
  bool can_map() const { return can_map_; }
  bool is_live(const std::string& name) const {
    return devices_->find(name) != nullptr;
  }

  void add_device(const std::string& name,
                  std::shared_ptr<BlockDevice> device) {
    opener_.add(name, std::move(device));
  }

  void load(const std::string& name, const std::string& text) {
    devices_->load(read_tables(
        text, {.file = name + ".yaml", .base_dir = "/", .default_name = name}));
  }

 private:
  WriteBackProcess write_back_;
  TempDir directory_;
  std::shared_ptr<CountingDevice> origin_;
  MemoryOpener opener_;
  EventLog events_;
  std::unique_ptr<DeviceSet> devices_;
  std::unique_ptr<Filesystem> filesystem_;
  std::unique_ptr<Session> session_;
  std::thread loop_;
  bool can_map_ = false;
};

// Threads whose requests are to wait. If a test fails while they do, the mount
// is shut down, so that they come back.
class Waiters {
 public:
  explicit Waiters(MountedTree& tree) : tree_(tree) {}
  ~Waiters() {
    if (!threads_.empty()) tree_.filesystem().shut_down();
    join();
  }
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  template <typename Body>
  void start(Body&& body) {
    threads_.emplace_back(std::forward<Body>(body));
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  MountedTree& tree_;
  std::vector<std::thread> threads_;
};

// A test on a mount; skipped where nothing can be mounted.
class MountedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string reason = why_no_mounts();
    if (!reason.empty()) GTEST_SKIP() << reason;
    tree_ = std::make_unique<MountedTree>(can_map());
  }

  // False: as on a kernel before 6.6, where files have a page cache.
  virtual bool can_map() const { return true; }

  MountedTree& tree() { return *tree_; }

 private:
  std::unique_ptr<MountedTree> tree_;
};

// Fails the test with strerror if it cannot be opened.
inline UniqueFd open_file(const std::string& path, int flags,
                          mode_t mode = 0600) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) ADD_FAILURE() << path << ": " << std::strerror(errno);
  return fd;
}

// The errno of a call that returned -1; 0 if it succeeded.
template <typename Result>
int error_of(Result result) {
  return result < 0 ? errno : 0;
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Runs a shell command in `directory`.
inline CommandResult shell(const std::string& directory,
                           const std::string& command,
                           const std::string& program = "bash") {
  return run({program, "-c", "cd '" + directory + "' && " + command});
}

}  // namespace snapfs::test
