// SPDX-License-Identifier: MIT
#include "tests/tools/records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/unique_fd.h"
#include "tests/support/pattern.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kBlockSectors = 8;
constexpr uint64_t kBlockBytes = kBlockSectors * kSectorBytes;

// A line of the file: "begin" before the write, "done" after the fsync; "s" or
// "o" for snapshot or origin; the block; the generation of its stamp.
struct Record {
  std::string what;
  char device = 0;
  uint64_t block = 0;
  uint64_t generation = 0;
};

std::vector<Record> read_records(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw_errno(ENOENT, "read", path);
  std::vector<Record> records;
  for (Record record; file >> record.what >> record.device >> record.block >>
                      record.generation;)
    records.push_back(record);
  return records;
}

bool is_dead(const std::string& mount) {
  struct stat status {};
  return ::stat((mount + "/.control/pid").c_str(), &status) != 0 &&
         (errno == ENOTCONN || errno == ECONNABORTED);
}

// False: nobody has said that it is durable. What has been handed over answers
// EIO, and the name may be gone.
bool write_block(const std::string& path, const Record& record) {
  auto failed = [&](const char* call) {
    const int error = errno;
    for (int expected :
         {EIO, ENOENT, ENOTCONN, ECONNABORTED, ESTALE, EINTR, ENODEV})
      if (error == expected) return false;
    throw_errno(error, call, path);
  };
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) return failed("open");
  const std::vector<std::byte> data =
      stamped(record.block * kBlockSectors, kBlockSectors, record.generation);
  if (::pwrite(fd.get(), data.data(), data.size(),
               static_cast<off_t>(record.block * kBlockBytes)) !=
      static_cast<ssize_t>(data.size()))
    return failed("write");
  return ::fsync(fd.get()) == 0 || failed("fsync");
}

// What each block may hold, by generation.
using Candidates = std::map<uint64_t, std::set<uint64_t>>;

Candidates candidates(const std::vector<Record>& records, char device) {
  Candidates result;
  for (const Record& record : records) {
    if (record.device != device) continue;
    auto [at, is_new] = result.try_emplace(record.block, std::set<uint64_t>{0});
    if (record.what == "done") at->second.clear();
    at->second.insert(record.generation);
  }
  return result;
}

void check(const std::string& path, const Candidates& wanted) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("open", path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("stat", path);
  std::vector<std::byte> sector(kSectorBytes);
  const uint64_t sectors = static_cast<uint64_t>(status.st_size) / kSectorBytes;
  for (uint64_t i = 0; i < sectors; ++i) {
    if (::pread(fd.get(), sector.data(), sector.size(),
                static_cast<off_t>(i * kSectorBytes)) != kSectorBytes)
      throw_errno("read", path);
    const uint64_t found = load_little_endian(sector);
    auto block = wanted.find(i / kBlockSectors);
    std::set<uint64_t> generations{0};
    if (block != wanted.end()) generations = block->second;
    bool is_right = false;
    for (uint64_t generation : generations)
      is_right = is_right || sector == stamped(i, 1, generation);
    if (is_right) continue;
    throw std::runtime_error(
        path + ": sector " + std::to_string(i) + " has generation " +
        std::to_string(found >> kGenerationShift) + ", not " +
        std::to_string(*generations.begin()) +
        (generations.size() > 1 ? " to " + std::to_string(*generations.rbegin())
                                : ""));
  }
}

}  // namespace

void record_command(const std::vector<std::string>& args) {
  const std::string& mount = args.at(0);
  const std::string& path = args.at(1);
  const uint64_t blocks = std::stoull(args.at(2));
  const std::string origin = mount + "/" + args.at(3);
  const std::vector<std::string> names(args.begin() + 4, args.end());
  uint64_t generation = 0;
  for (const Record& record : read_records(path))
    generation = std::max(generation, record.generation);
  std::ofstream file(path, std::ios::app);
  std::minstd_rand random(static_cast<uint32_t>(generation + 1));
  std::size_t current = 0;
  while (!is_dead(mount)) {
    const bool to_origin = random() % 3 == 0;
    Record record{"begin", to_origin ? 'o' : 's', random() % blocks,
                  ++generation};
    auto note = [&] {
      file << record.what << ' ' << record.device << ' ' << record.block << ' '
           << record.generation << std::endl;
    };
    note();
    record.what = "done";
    if (write_block(to_origin ? origin : mount + "/" + names.at(current),
                    record)) {
      note();
    } else if (!to_origin) {
      current = (current + 1) % names.size();
    }
  }
  if (!file) throw_errno(EIO, "write", path);
}

void check_records_command(const std::vector<std::string>& args) {
  const std::vector<Record> records = read_records(args.at(2));
  check(args.at(0), candidates(records, 's'));
  check(args.at(1), candidates(records, 'o'));
}

void kill_while_writing_command(const std::vector<std::string>& args) {
  const auto pid = static_cast<pid_t>(std::stol(args.at(0)));
  const std::chrono::microseconds delay(std::stoll(args.at(1)));
  const std::string& path = args.at(2);
  const std::string& text = args.at(3);
  if (pid <= 1) throw std::invalid_argument("not a process to kill");
  const auto begin = std::chrono::steady_clock::now();
  // Whether it succeeds is a matter of time.
  std::thread writer([&] {
    const UniqueFd fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (fd && ::write(fd.get(), text.data(), text.size()) < 0) return;
  });
  std::this_thread::sleep_until(begin + delay);
  const bool is_killed = ::kill(pid, SIGKILL) == 0;
  const int error = errno;
  writer.join();
  if (!is_killed) throw_errno(error, "kill", args.at(0));
}

}  // namespace snapfs::test
