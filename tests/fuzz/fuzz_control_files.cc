// SPDX-License-Identifier: MIT
//
// Requests as the kernel sends them, to the files of a tree over devices in
// memory: tables written, renamed and removed, states, reload, and device files
// meanwhile. Every request is answered, once, and the devices go on.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "config/table_reader.h"
#include "core/device_set.h"
#include "fusefs/event_log.h"
#include "fusefs/filesystem.h"
#include "fusefs/spec_reload.h"
#include "fusefs/tree.h"
#include "tests/fuzz/fake_kernel.h"
#include "tests/fuzz/input.h"
#include "tests/support/memory_opener.h"
#include "tests/support/temp_dir.h"

namespace snapfs::test {
namespace {

constexpr uint64_t kDeviceBytes = 64 << 10;
constexpr uint64_t kCowBytes = 48 << 10;

const std::string kNames[] = {"base", "snap", "other", "x"};
const std::string kWords[] = {"suspend", "resume", "abort", "suspend\n", ""};

// Tables to begin with; what is between them a fuzzer finds.
const std::string kTexts[] = {
    "target: snapshot-origin\ndevice: /origin\n",
    "target: snapshot\norigin: base\ncow: /cow\nchunk_size: 1\n",
    "target: snapshot\norigin: base\ncow: /cow\nstore: PO\nactivate: now\n",
    "target: snapshot\norigin: base\ncow: /cow2\nactivate: manual\n",
    "target: snapshot\norigin: base\ncow: /cow2\nstore: N\nchunk_size: 8\n"
    "features: [discard_zeroes_cow]\n",
    "name: base\ntarget: snapshot-merge\norigin: base\ncow: /cow\n"
    "activate: now\nforce: true\n",
    "target: snapshot\norigin: base\ncow: {path: new, create: true, "
    "size: 32KiB}\nwhen_full: {grow: {step: 4KiB, max: 64KiB}, wait: 10min}\n",
    "target: snapshot-origin\ndevice: /origin\nlength: 16KiB\n",
    "target: snapshot-origin\ndevice: /origin2\n",
    "table: 0 64 snapshot /origin2 /cow2 P 4\n",
};

// Read again by `reload`. The same at the beginning of each input.
class SpecDirectory {
 public:
  void reset() {
    if (!has_changed_) return;
    for (const std::string& name : kNames) {
      ::unlink(directory_.path(name + ".yaml").c_str());
    }
    write("base", kTexts[0]);
    write("snap", kTexts[1]);
    write("x", kTexts[3]);
    has_changed_ = false;
  }
  void write(const std::string& name, const std::string& text) {
    directory_.write_file(name + ".yaml", text);
    has_changed_ = true;
  }
  Spec read() const { return read_spec(directory_.path()); }

 private:
  const TempDir directory_;
  bool has_changed_ = true;
};

SpecDirectory& spec_directory() {
  static SpecDirectory directory;
  return directory;
}

struct OpenFile {
  uint64_t node;
  uint64_t handle;
  bool is_device;
};

class World {
 public:
  explicit World(Input& input) : input_(input) {
    opener_.add("/origin", kDeviceBytes);
    opener_.add("/origin2", kDeviceBytes);
    opener_.add("/cow", kCowBytes);
    opener_.add("/cow2", kCowBytes);
    spec_directory().reset();
    const Spec spec = spec_directory().read();
    devices_ = std::make_unique<DeviceSet>(opener_, events_);
    devices_->start_merging();
    devices_->load(spec.tables);
    reload_ = std::make_unique<SpecReload>(*devices_, opener_, events_, spec);
    filesystem_ = std::make_unique<Filesystem>(
        *devices_, events_,
        Filesystem::Options{.uid = ::geteuid(),
                            .gid = ::getegid(),
                            .base_dir = "/",
                            .mount_point = "/nowhere",
                            .spec_reload = reload_.get()});
    kernel_ = std::make_unique<FakeKernel>(Filesystem::operations(),
                                           filesystem_.get());
    filesystem_->attach(kernel_->session());
    filesystem_->set_direct_io_mmap(true);
  }

  ~World() {
    for (const OpenFile& file : files_) release(file);
    filesystem_->shut_down();
    require(kernel_->open_requests() == 0, "all are answered at the end");
    kernel_.reset();
    filesystem_.reset();
  }

  void run() {
    while (!input_.empty()) {
      // Two processes, neither of which is seen by the other.
      kernel_->set_process(input_.pick(4) == 0 ? ::getpid() : 0);
      step();
    }
    look();
  }

 private:
  void step() {
    switch (input_.pick(16)) {
      case 0:
      case 1:
        return write_table();
      case 2:
      case 3:
        return change_state();
      case 4:
        return unlink();
      case 5:
        return rename();
      case 6:
        return create_file(any_name(), O_RDWR | (flag() ? O_EXCL : 0));
      case 7:
        return open_file(any_path(), flag() ? O_RDWR : O_RDONLY);
      case 8:
        return write(any_text());
      case 9:
        return read();
      case 10:
        return close();
      case 11:
        return truncate();
      case 12:
        return reload();
      case 13:
        return open_file({input_name()}, O_RDWR);
      case 14:
        return change_device();
      case 15:
        return look();
    }
  }

  bool flag() { return input_.pick(2) == 1; }

  // --- names and texts -------------------------------------------------------

  std::string input_name() { return kNames[input_.pick(4)]; }

  std::string any_text() {
    const uint64_t kind = input_.pick(12);
    if (kind < std::size(kTexts)) return kTexts[kind];
    return input_.text(input_.pick(400));
  }

  // In the directory of tables.
  std::string any_name() {
    const std::string name = input_name();
    switch (input_.pick(8)) {
      case 0:
        return name + ".next.yaml";
      case 1:
        return name + ".rejected";
      case 2:
        return "." + name + ".yaml.swp";
      case 3:
        return name + ".yaml~";
      case 4: {
        std::string text = input_.text(1 + input_.pick(20));
        std::erase_if(text, [](char c) { return c == '/' || c == 0; });
        return text.empty() || text == "." || text == ".." ? "y" : text;
      }
      default:
        return name + ".yaml";
    }
  }

  using Path = std::vector<std::string>;

  Path any_path() {
    switch (input_.pick(8)) {
      case 0:
        return {".control", "state", input_name()};
      case 1:
        return {".control", "status", input_name()};
      case 2:
        return {".control", "errors"};
      case 3:
        return {".control", "events"};
      case 4:
        return {".control", "log"};
      case 5:
        return {".control", "metrics"};
      case 6:
        return {".control", "reload"};
      default:
        return {".control", "tables", any_name()};
    }
  }

  // --- requests --------------------------------------------------------------

  FakeKernel::Answer ask(uint32_t opcode, uint64_t node,
                         std::string_view body) {
    return kernel_->wait(kernel_->send(opcode, node, body));
  }

  // What may park need not be answered: it is when the device goes on, or at
  // the end.
  void tell(uint32_t opcode, uint64_t node, std::string_view body) {
    kernel_->send(opcode, node, body);
    filesystem_->tree().context().control.wait_idle();
    filesystem_->tree().context().pool.wait_idle();
  }

  static std::string terminated(const std::string& name) { return name + '\0'; }

  // 0: it is not there.
  uint64_t look_up(uint64_t parent, const std::string& name) {
    const auto answer = ask(FUSE_LOOKUP, parent, terminated(name));
    if (answer.error != 0) return 0;
    fuse_entry_out entry;
    require(answer.data.size() == sizeof(entry), "an entry");
    std::memcpy(&entry, answer.data.data(), sizeof(entry));
    return entry.nodeid;
  }

  void forget(uint64_t node) {
    const fuse_forget_in body{.nlookup = 1};
    kernel_->send(FUSE_FORGET, node, bytes_of(body));
  }

  // Calls use(node); nothing if there is none.
  template <typename Use>
  void with_node(const Path& path, const Use& use) {
    uint64_t node = FUSE_ROOT_ID;
    std::vector<uint64_t> seen;
    for (const std::string& name : path) {
      node = look_up(node, name);
      if (node == 0) break;
      seen.push_back(node);
    }
    if (node != 0) use(node);
    for (uint64_t each : seen) forget(each);
  }

  void open_file(const Path& path, int flags) {
    with_node(path, [&](uint64_t node) {
      fuse_open_in body{};
      body.flags = static_cast<uint32_t>(flags);
      const auto answer = ask(FUSE_OPEN, node, bytes_of(body));
      if (answer.error != 0) return;
      fuse_open_out opened;
      require(answer.data.size() == sizeof(opened), "a handle");
      std::memcpy(&opened, answer.data.data(), sizeof(opened));
      files_.push_back({node, opened.fh, path.size() == 1});
    });
    limit_files();
  }

  void create_file(const std::string& name, int flags) {
    with_node({".control", "tables"}, [&](uint64_t node) {
      fuse_create_in body{};
      body.flags = static_cast<uint32_t>(flags);
      body.mode = S_IFREG | 0600;
      const auto answer = ask(FUSE_CREATE, node,
                              std::string(bytes_of(body)) + terminated(name));
      if (answer.error != 0) return;
      struct {
        fuse_entry_out entry;
        fuse_open_out opened;
      } created;
      require(answer.data.size() == sizeof(created), "an entry and a handle");
      std::memcpy(&created, answer.data.data(), sizeof(created));
      files_.push_back({created.entry.nodeid, created.opened.fh, false});
      forget(created.entry.nodeid);
    });
    limit_files();
  }

  void limit_files() {
    if (files_.size() <= 8) return;
    release(files_.front());
    files_.erase(files_.begin());
  }

  void release(const OpenFile& file) {
    fuse_release_in body{};
    body.fh = file.handle;
    ask(FUSE_RELEASE, file.node, bytes_of(body));
  }

  void write(OpenFile file, uint64_t offset, const std::string& text) {
    fuse_write_in body{};
    body.fh = file.handle;
    body.offset = offset;
    body.size = static_cast<uint32_t>(text.size());
    tell(FUSE_WRITE, file.node, std::string(bytes_of(body)) + text);
  }

  void flush(const OpenFile& file) {
    if (flag()) {
      fuse_fsync_in body{};
      body.fh = file.handle;
      return tell(FUSE_FSYNC, file.node, bytes_of(body));
    }
    fuse_flush_in body{};
    body.fh = file.handle;
    tell(FUSE_FLUSH, file.node, bytes_of(body));
  }

  // --- steps -----------------------------------------------------------------

  void write_table() {
    const std::size_t before = files_.size();
    create_file(input_name() + ".yaml", O_RDWR | O_TRUNC);
    if (files_.empty() || files_.size() < before) return;
    const OpenFile file = files_.back();
    write(file, 0, any_text());
    flush(file);
    if (!flag()) return;
    release(file);
    files_.pop_back();
  }

  void change_state() {
    const std::string name = input_name();
    open_file({".control", "state", name}, O_WRONLY);
    if (files_.empty() || files_.back().is_device) return;
    const uint64_t word = input_.pick(6);
    write(files_.back(), 0,
          word < std::size(kWords) ? kWords[word] : any_text());
    release(files_.back());
    files_.pop_back();
  }

  void unlink() {
    const std::string name = any_name();
    with_node({".control", "tables"},
              [&](uint64_t node) { ask(FUSE_UNLINK, node, terminated(name)); });
  }

  void rename() {
    const std::string from = any_name();
    const std::string to = any_name();
    with_node({".control", "tables"}, [&](uint64_t node) {
      fuse_rename2_in body{};
      body.newdir = node;
      body.flags = flag() ? 1 : 0;
      ask(FUSE_RENAME2, node,
          std::string(bytes_of(body)) + terminated(from) + terminated(to));
    });
  }

  OpenFile* any_file() {
    return files_.empty() ? nullptr : &files_[input_.pick(files_.size())];
  }

  void write(const std::string& text) {
    const OpenFile* file = any_file();
    if (file == nullptr) return;
    write(*file, input_.pick(4) == 0 ? input_.number(3) : 0, text);
    if (flag()) flush(*file);
  }

  void read() {
    const OpenFile* file = any_file();
    if (file == nullptr) return;
    fuse_read_in body{};
    body.fh = file->handle;
    body.offset = flag() ? input_.number(2) : 0;
    body.size = static_cast<uint32_t>(1 + input_.pick(8192));
    tell(FUSE_READ, file->node, bytes_of(body));
  }

  void close() {
    if (files_.empty()) return;
    const std::size_t index = input_.pick(files_.size());
    flush(files_[index]);
    release(files_[index]);
    files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  void truncate() {
    const OpenFile* file = any_file();
    if (file == nullptr) return;
    fuse_setattr_in body{};
    body.valid = FATTR_SIZE | (flag() ? FATTR_FH : 0u);
    body.fh = file->handle;
    body.size = flag() ? input_.number(3) : 0;
    // The node may have been forgotten, which the kernel never does.
    if ((body.valid & FATTR_FH) == 0) return;
    tell(FUSE_SETATTR, file->node, bytes_of(body));
  }

  void reload() {
    if (flag()) {
      const std::string name = input_name();
      spec_directory().write(name, any_text());
    }
    open_file({".control", "reload"}, O_RDWR);
    if (files_.empty()) return;
    write(files_.back(), 0, "now");
    release(files_.back());
    files_.pop_back();
  }

  void change_device() {
    for (const OpenFile& file : files_) {
      if (!file.is_device) continue;
      const uint64_t offset = input_.pick(160) * 512;
      if (flag()) return write(file, offset, std::string(512, 'x'));
      if (flag()) {
        fuse_lseek_in body{};
        body.fh = file.handle;
        body.offset = offset;
        body.whence = flag() ? SEEK_DATA : SEEK_HOLE;
        return tell(FUSE_LSEEK, file.node, bytes_of(body));
      }
      fuse_fallocate_in body{};
      body.fh = file.handle;
      body.offset = offset;
      body.length = 512 * (1 + input_.pick(8));
      body.mode = static_cast<uint32_t>(
          flag() ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                 : FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
      return tell(FUSE_FALLOCATE, file.node, bytes_of(body));
    }
  }

  // What can be looked at at any time, and is answered at once.
  void look() {
    for (const char* directory : {"", "tables", "state", "status"}) {
      Path path{".control"};
      if (*directory != 0) path.push_back(directory);
      with_node(path, [&](uint64_t node) {
        fuse_read_in body{};
        body.size = 4096;
        require(ask(FUSE_READDIR, node, bytes_of(body)).error == 0,
                "it can be listed");
      });
    }
    for (const std::string& name : kNames) {
      for (const char* kind : {"state", "status"}) {
        const std::size_t before = files_.size();
        open_file({".control", kind, name}, O_RDONLY);
        if (files_.size() != before + 1) continue;
        fuse_read_in body{};
        body.fh = files_.back().handle;
        body.size = 4096;
        const auto answer = ask(FUSE_READ, files_.back().node, bytes_of(body));
        require(answer.error == 0, "it can be read");
        require(!answer.data.empty(), "a state is never empty");
        release(files_.back());
        files_.pop_back();
      }
    }
  }

  Input& input_;
  MemoryOpener opener_;
  EventLog events_{[](bool, const std::string&) {}};
  std::unique_ptr<DeviceSet> devices_;
  std::unique_ptr<SpecReload> reload_;
  std::unique_ptr<Filesystem> filesystem_;
  std::unique_ptr<FakeKernel> kernel_;
  std::vector<OpenFile> files_;
};

}  // namespace
}  // namespace snapfs::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  snapfs::test::Input input(data, size);
  snapfs::test::World(input).run();
  return 0;
}
