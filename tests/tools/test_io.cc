// SPDX-License-Identifier: MIT
//
// test_io COMMAND ...: what the shell tests do to files and no standard tool
// does. Errors are one line on standard error and status 1; a wrong call is
// status 2.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"
#include "tests/support/disk_ops.h"
#include "tests/support/pattern.h"
#include "tests/tools/records.h"
#include "tests/tools/views.h"

namespace snapfs::test {
namespace {

using Arguments = std::vector<std::string>;

constexpr char kUsage[] =
    R"(test_io stamp BYTES GENERATION             stamped sectors, to stdout
test_io ops SEED COUNT SECTORS MAX ALIGN [discards]  random operations, to stdout
test_io data [FROM TO] < OPS               what OPS write, one after another, or
                                           those of the lines FROM to TO
test_io views CHUNK_SECTORS BYTES SNAP ORIGIN < OPS   both views, into files
test_io replay SNAP ORIGIN [fsync|direct| [FROM TO]] < OPS   carries OPS out on
                                           files, all or lines FROM to TO;
                                           discards are holes in SNAP
test_io kernel-views CHUNK_SECTORS COW SNAP ORIGIN FROM TO < OPS   the same as
                                           the kernel would, on both views
test_io check-crash BEFORE AFTER snap|origin FROM DURABLE TO < OPS   may this
                                           be what a crash has left?
test_io pwrite FILE OFFSET BYTES           one write; prints what it returned
test_io pread FILE OFFSET BYTES            one read; prints what it returned
test_io ftruncate FILE BYTES               prints 0 or the name of the errno
test_io fallocate FILE MODE OFFSET BYTES   prints 0 or the name of the errno
test_io extents FILE                       SEEK_DATA and SEEK_HOLE, in bytes
test_io mmap-stamp FILE OFFSET BYTES GENERATION   stamps through MAP_SHARED
test_io mmap-cat FILE OFFSET BYTES         through MAP_SHARED, to stdout
test_io mmap-hold FILE OFFSET BYTES GENERATION   stamps through MAP_SHARED and
                                           keeps it mapped until stdin ends, then
                                           puts what is there to stdout
test_io hold FILE [COUNT]                  keeps FILE open until stdin ends, COUNT
                                           times, and then reads through each
test_io count FILE FILE                    counts on in the first 8 bytes of one
                                           and then of the other, again and again
                                           until stdin ends; prints both
test_io record DIR FILE BLOCKS ORIGIN NAME...    writes to a mount until it is
                                           dead; what it had synced is in FILE
test_io check-records SNAP ORIGIN FILE     is that there?
test_io kill-while-writing PID MICROSECONDS FILE TEXT   kills PID so long after
                                           it began to write TEXT to FILE
)";

// The name of the errno where a test asks for it, else its number.
std::string name_of(int error) {
  static const std::map<int, const char*> kNames{
      {EPERM, "EPERM"},   {EIO, "EIO"},       {EBUSY, "EBUSY"},
      {ENOSPC, "ENOSPC"}, {EROFS, "EROFS"},   {EINVAL, "EINVAL"},
      {EACCES, "EACCES"}, {EFBIG, "EFBIG"},   {EOPNOTSUPP, "EOPNOTSUPP"},
      {ENOENT, "ENOENT"}, {ENODEV, "ENODEV"}, {ENXIO, "ENXIO"}};
  auto found = kNames.find(error);
  return found == kNames.end() ? std::to_string(error) : found->second;
}

void print_result(int64_t result) {
  if (result < 0) {
    std::cout << name_of(errno) << '\n';
  } else {
    std::cout << result << '\n';
  }
}

uint64_t number(const std::string& text) {
  size_t end = 0;
  uint64_t value = std::stoull(text, &end);
  if (end != text.size()) throw std::invalid_argument("not a number: " + text);
  return value;
}

UniqueFd open_file(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd) throw_errno("cannot open", path);
  return fd;
}

std::vector<DiskOp> ops_from_stdin() {
  return parse_ops(std::string(std::istreambuf_iterator<char>(std::cin), {}));
}

void put(std::ostream& out, std::span<const std::byte> data) {
  out.write(reinterpret_cast<const char*>(data.data()),
            static_cast<std::streamsize>(data.size()));
}

void put_file(const std::string& path, std::span<const std::byte> data) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  put(out, data);
  if (!out.flush()) throw_errno("cannot write", path);
}

void stamp_command(const Arguments& args) {
  constexpr uint64_t kPiece = 2048;
  uint64_t sectors = number(args.at(0)) / kSectorBytes;
  for (uint64_t at = 0; at < sectors; at += kPiece) {
    put(std::cout,
        stamped(at, std::min(kPiece, sectors - at), number(args.at(1))));
  }
}

void ops_command(const Arguments& args) {
  RandomOps options;
  options.seed = number(args.at(0));
  options.count = number(args.at(1));
  options.device_sectors = number(args.at(2));
  options.max_sectors = number(args.at(3));
  options.align = number(args.at(4));
  options.discards = args.size() > 5;
  std::cout << to_text(random_ops(options));
}

void data_command(const Arguments& args) {
  uint64_t from = args.empty() ? 1 : number(args.at(0));
  uint64_t to = args.empty() ? UINT64_MAX : number(args.at(1));
  uint64_t generation = 0;
  for (const DiskOp& op : ops_from_stdin()) {
    if (++generation < from || generation > to) continue;
    put(std::cout, stamped(op.first, op.count, generation));
  }
}

void views_command(const Arguments& args) {
  Views views = replay(ops_from_stdin(), number(args.at(1)),
                       ChunkSize(number(args.at(0))));
  put_file(args.at(2), views.snapshot);
  put_file(args.at(3), views.origin);
}

// O_DIRECT wants memory aligned to the block size of whatever is below.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(size_t size)
      : data_(
            static_cast<std::byte*>(std::aligned_alloc(
                kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment)),
            &std::free),
        size_(size) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  std::span<std::byte> span() { return {data_.get(), size_}; }

 private:
  static constexpr size_t kAlignment = 4096;
  std::unique_ptr<std::byte, void (*)(void*)> data_;
  size_t size_;
};

void replay_command(const Arguments& args) {
  std::string how = args.size() > 2 ? args.at(2) : "";
  uint64_t from = args.size() > 3 ? number(args.at(3)) : 1;
  uint64_t to = args.size() > 3 ? number(args.at(4)) : UINT64_MAX;
  int flags = O_RDWR | (how == "direct" ? O_DIRECT : 0);
  UniqueFd snap = open_file(args.at(0), flags);
  UniqueFd origin = open_file(args.at(1), flags);
  uint64_t generation = 0;
  for (const DiskOp& op : ops_from_stdin()) {
    if (++generation < from || generation > to) continue;
    bool to_origin = op.kind == DiskOp::Kind::origin;
    int fd = to_origin ? origin.get() : snap.get();
    if (op.kind == DiskOp::Kind::discard) {
      if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(op.bytes().offset),
                      static_cast<off_t>(op.bytes().length)) != 0) {
        throw_errno("operation " + std::to_string(generation), args.at(0));
      }
      continue;
    }
    AlignedBuffer buffer(op.bytes().length);
    stamp(buffer.span(), op.first, generation);
    ssize_t done = ::pwrite(fd, buffer.span().data(), buffer.span().size(),
                            static_cast<off_t>(op.bytes().offset));
    bool refused = done < 0 && errno == EIO;
    if (refused != (op.kind == DiskOp::Kind::refused)) {
      throw_errno("operation " + std::to_string(generation),
                  to_origin ? args.at(1) : args.at(0));
    }
    if (!refused && static_cast<size_t>(done) != buffer.span().size()) {
      throw std::runtime_error("operation " + std::to_string(generation) +
                               " was cut short");
    }
    if (how == "fsync" && ::fsync(fd) != 0) {
      throw_errno("operation " + std::to_string(generation), "fsync");
    }
  }
  if (::fsync(snap.get()) != 0) throw_errno("fsync", args.at(0));
  if (::fsync(origin.get()) != 0) throw_errno("fsync", args.at(1));
}

void pwrite_command(const Arguments& args) {
  UniqueFd fd = open_file(args.at(0), O_WRONLY);
  std::vector<char> data(number(args.at(2)), 'x');
  print_result(::pwrite(fd.get(), data.data(), data.size(),
                        static_cast<off_t>(number(args.at(1)))));
}

void pread_command(const Arguments& args) {
  UniqueFd fd = open_file(args.at(0), O_RDONLY);
  std::vector<char> data(number(args.at(2)));
  print_result(::pread(fd.get(), data.data(), data.size(),
                       static_cast<off_t>(number(args.at(1)))));
}

void ftruncate_command(const Arguments& args) {
  UniqueFd fd = open_file(args.at(0), O_WRONLY);
  print_result(::ftruncate(fd.get(), static_cast<off_t>(number(args.at(1)))));
}

void fallocate_command(const Arguments& args) {
  static const std::map<std::string, int> kModes{
      {"allocate", 0},
      {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
      {"zero", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
      {"collapse", FALLOC_FL_COLLAPSE_RANGE}};
  UniqueFd fd = open_file(args.at(0), O_RDWR);
  print_result(::fallocate(fd.get(), kModes.at(args.at(1)),
                           static_cast<off_t>(number(args.at(2))),
                           static_cast<off_t>(number(args.at(3)))));
}

void extents_command(const Arguments& args) {
  UniqueFd fd = open_file(args.at(0), O_RDONLY);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_errno("cannot stat", args.at(0));
  for (off_t at = 0; at < status.st_size;) {
    off_t data = ::lseek(fd.get(), at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) throw_errno("SEEK_DATA", args.at(0));
    bool is_hole = data != at;
    off_t end = is_hole ? (data < 0 ? status.st_size : data)
                        : ::lseek(fd.get(), at, SEEK_HOLE);
    if (end <= at) throw std::runtime_error("an empty extent");
    std::cout << (is_hole ? "hole " : "data ") << at << ' ' << end - at << '\n';
    at = end;
  }
}

class Mapping {
 public:
  Mapping(const std::string& path, uint64_t offset, uint64_t length) {
    UniqueFd fd = open_file(path, O_RDWR);
    skew_ = offset % static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    size_ = length + skew_;
    at_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
                 static_cast<off_t>(offset - skew_));
    if (at_ == MAP_FAILED) throw_errno("cannot map", path);
  }
  ~Mapping() { ::munmap(at_, size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<std::byte> span() {
    return {static_cast<std::byte*>(at_) + skew_, size_ - skew_};
  }
  void sync() {
    if (::msync(at_, size_, MS_SYNC) != 0) throw_errno("msync", "");
  }

 private:
  void* at_;
  uint64_t skew_;
  uint64_t size_;
};

void mmap_stamp_command(const Arguments& args) {
  uint64_t offset = number(args.at(1));
  Mapping mapping(args.at(0), offset, number(args.at(2)));
  stamp(mapping.span(), offset / kSectorBytes, number(args.at(3)));
  mapping.sync();
}

void mmap_cat_command(const Arguments& args) {
  Mapping mapping(args.at(0), number(args.at(1)), number(args.at(2)));
  put(std::cout, mapping.span());
}

void wait_for_end_of_stdin() {
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}

// Nothing is synchronised: what was stamped stays dirty.
void mmap_hold_command(const Arguments& args) {
  uint64_t offset = number(args.at(1));
  Mapping mapping(args.at(0), offset, number(args.at(2)));
  stamp(mapping.span(), offset / kSectorBytes, number(args.at(3)));
  std::cerr << "held" << std::endl;
  wait_for_end_of_stdin();
  // Touched by this process, where the kernel would only refuse to read it.
  const std::vector<std::byte> found(mapping.span().begin(),
                                     mapping.span().end());
  put(std::cout, found);
}

void hold_command(const Arguments& args) {
  std::vector<UniqueFd> files(args.size() > 1 ? number(args.at(1)) : 1);
  for (UniqueFd& file : files) file = open_file(args.at(0), O_RDONLY);
  std::cout << "held" << std::endl;
  wait_for_end_of_stdin();
  if (args.size() == 1) return;
  for (const UniqueFd& file : files) {
    char byte;
    if (::pread(file.get(), &byte, 1, 0) != 1) throw_errno("read", args.at(0));
  }
}

void count_command(const Arguments& args) {
  const UniqueFd first = open_file(args.at(0), O_WRONLY);
  const UniqueFd second = open_file(args.at(1), O_WRONLY);
  pollfd end{STDIN_FILENO, POLLIN, 0};
  uint64_t value = 0;
  do {
    ++value;
    for (int fd : {first.get(), second.get()}) {
      if (::pwrite(fd, &value, sizeof value, 0) != sizeof value)
        throw_errno("write", args.at(0));
    }
  } while (::poll(&end, 1, 0) == 0);
  std::cout << value << ' ' << value << '\n';
}

int run_command(const Arguments& args) {
  static const std::map<std::string, void (*)(const Arguments&)> kCommands{
      {"stamp", stamp_command},
      {"ops", ops_command},
      {"data", data_command},
      {"views", views_command},
      {"replay", replay_command},
      {"kernel-views", kernel_views_command},
      {"check-crash", check_crash_command},
      {"pwrite", pwrite_command},
      {"pread", pread_command},
      {"ftruncate", ftruncate_command},
      {"fallocate", fallocate_command},
      {"extents", extents_command},
      {"mmap-stamp", mmap_stamp_command},
      {"mmap-cat", mmap_cat_command},
      {"mmap-hold", mmap_hold_command},
      {"hold", hold_command},
      {"count", count_command},
      {"record", record_command},
      {"check-records", check_records_command},
      {"kill-while-writing", kill_while_writing_command}};
  auto command = args.empty() ? kCommands.end() : kCommands.find(args.front());
  if (command == kCommands.end()) {
    std::cerr << kUsage;
    return 2;
  }
  try {
    command->second(Arguments(args.begin() + 1, args.end()));
  } catch (const std::out_of_range&) {
    std::cerr << kUsage;
    return 2;
  }
  std::cout.flush();
  return std::cout ? 0 : 1;
}

}  // namespace
}  // namespace snapfs::test

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    return snapfs::test::run_command({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "test_io: " << error.what() << '\n';
    return 1;
  }
}
