// SPDX-License-Identifier: MIT
//
// What the files of a SPEC are after each change, and what they are when it
// fails, or ends, in between.
#include "fusefs/spec_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/unique_fd.h"
#include "fusefs/saved_tables.h"
#include "tests/support/memory_opener.h"
#include "tests/support/tables.h"
#include "tests/support/temp_dir.h"

namespace snapfs {
namespace {

using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using Files = std::map<std::string, std::string>;

constexpr char kOrigin[] = "target: snapshot-origin\ndevice: img\n";

std::string snapshot(const std::string& cow, const std::string& more = "") {
  return "target: snapshot\norigin: base\ncow: " + cow + "\n" + more;
}

std::shared_ptr<const Table> table(const std::string& name,
                                   const std::string& text) {
  return std::make_shared<const Table>(
      read_tables(text, {"t", "/spec", name}).at(0));
}

// All files of the directory, hidden ones, too.
Files files_in(const std::string& directory) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::ifstream file(entry.path());
    files[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return files;
}

class SpecWriterTest : public testing::Test {
 protected:
  // Files of SPEC, as they are before the mount.
  void write_spec(const Files& files) {
    for (const auto& [name, text] : files) dir_.write_file(name, text);
  }
  // What a mount of SPEC has, kept from the beginning.
  SpecWriter& mount(const std::string& name = "") {
    Spec spec = read_spec(name.empty() ? dir_.path() : dir_.path(name));
    for (const Table& each : spec.tables)
      now_[each.name].live = std::make_shared<const Table>(each);
    writer_.emplace(spec);
    writer_->keep(now_);
    return *writer_;
  }
  void set_live(const std::string& name, const std::string& text) {
    now_[name].live = table(name, text);
  }
  void set_next(const std::string& name, const std::string& text,
                const std::string& source) {
    now_[name].next = table(name, text);
    now_[name].source = source;
    now_[name].group = {name};
  }
  void hand_over(const std::string& name) {
    KeptDevice& device = now_.at(name);
    const std::string source = device.source;
    device.live = device.next;
    device.next = nullptr;
    device.source.clear();
    device.group.clear();
    if (source == name) return;
    device.handed_over_from = source;
    now_.erase(source);
  }
  Files files() const { return files_in(dir_.path()); }

  // A mount that finds these files has these live tables, one for each COW.
  static std::vector<std::string> mounted(const std::string& path) {
    Spec spec = read_spec(path);
    test::MemoryOpener opener;
    test::EventRecorder events;
    drop_replaced(spec, opener, events);
    std::vector<std::string> names;
    for (const Table& each : spec.tables) names.push_back(each.name);
    for (const Table& each : spec.waiting) names.push_back(each.name + "+");
    std::sort(names.begin(), names.end());
    return names;
  }
  std::vector<std::string> mounted() const { return mounted(dir_.path()); }

  template <typename Action>
  static std::string error_of(const Action& action) {
    try {
      action();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "no error";
  }

  TempDir dir_;
  KeptDevices now_;
  std::optional<SpecWriter> writer_;
};

TEST_F(SpecWriterTest, what_does_not_change_is_not_touched) {
  const Files before{{"base.yaml", kOrigin},
                     {"all.yaml", "# two\n---\nname: a\n" + snapshot("a") +
                                      "---\n# none\n---\nname: b\n" +
                                      snapshot("b") + "# end\n"},
                     {"README", "not a table"}};
  write_spec(before);
  SpecWriter& writer = mount();
  writer.keep_new(now_);
  writer.keep(now_);
  EXPECT_EQ(files(), before);
}

TEST_F(SpecWriterTest, a_table_is_a_file) {
  write_spec({{"base.yaml", kOrigin}});
  SpecWriter& writer = mount();
  set_live("a", snapshot("a") + "# mine");
  writer.keep_new(now_);
  const Files both{{"base.yaml", kOrigin},
                   {"a.yaml", snapshot("a") + "# mine"}};
  EXPECT_EQ(files(), both);
  struct stat status {};
  ASSERT_EQ(0, ::stat(dir_.path("a.yaml").c_str(), &status));
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  now_.erase("a");
  writer.keep_new(now_);
  EXPECT_EQ(files(), both);
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin}}));
}

TEST_F(SpecWriterTest, a_replaced_file_keeps_its_mode) {
  write_spec({{"base.yaml", kOrigin}});
  ASSERT_EQ(0, ::chmod(dir_.path("base.yaml").c_str(), 0644));
  SpecWriter& writer = mount();
  set_live("base", std::string(kOrigin) + "read_only: true\n");
  writer.keep(now_);
  struct stat status {};
  ASSERT_EQ(0, ::stat(dir_.path("base.yaml").c_str(), &status));
  EXPECT_EQ(status.st_mode & 0777, 0644u);
}

TEST_F(SpecWriterTest, a_handover_is_a_renaming) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  set_next("b", snapshot("c", "mode: 0640\n"), "a");
  writer.keep(now_);
  const std::string text = "handover_from: a\n" + snapshot("c", "mode: 0640\n");
  EXPECT_EQ(files().at("b.next.yaml"), text);
  EXPECT_THAT(mounted(), ElementsAre("a", "b+", "base"));
  struct stat before {};
  ASSERT_EQ(0, ::stat(dir_.path("b.next.yaml").c_str(), &before));

  hand_over("b");
  writer.keep_new(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin},
                            {"a.yaml", snapshot("c")},
                            {"b.yaml", text}}));
  struct stat after {};
  ASSERT_EQ(0, ::stat(dir_.path("b.yaml").c_str(), &after));
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_THAT(mounted(), ElementsAre("b", "base"));

  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin}, {"b.yaml", text}}));
  // The source is removed: a table of that name is another one then.
  now_["b"].handed_over_from.clear();
  writer.keep(now_);
  EXPECT_EQ(files().at("b.yaml"), snapshot("c", "mode: 0640\n"));
}

TEST_F(SpecWriterTest, a_handover_under_its_name_replaces_the_file) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  set_next("a", snapshot("c", "store: PO\n"), "a");
  writer.keep(now_);
  EXPECT_EQ(files().at("a.next.yaml"), snapshot("c", "store: PO\n"));
  EXPECT_EQ(files().at("a.yaml"), snapshot("c"));
  hand_over("a");
  writer.keep_new(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin},
                            {"a.yaml", snapshot("c", "store: PO\n")}}));
}

// As the engine knows it: with the device that its own name means.
std::shared_ptr<const Table> merge_into_base(const std::string& more = "") {
  Table merge =
      *table("base", "target: snapshot-merge\norigin: base\ncow: c\n" + more);
  std::get<SnapshotTable>(merge.target).origin_path = "/spec/img";
  return std::make_shared<const Table>(merge);
}

std::string origin_path_of(const std::string& spec, const std::string& name) {
  for (const Table& each : read_spec(spec).tables) {
    if (each.name == name)
      return std::get<SnapshotTable>(each.target).origin_path;
  }
  return "";
}

TEST_F(SpecWriterTest, a_merge_mounts_again_at_each_point) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  now_["base"].next = merge_into_base();
  now_["base"].source = "a";
  now_["base"].group = {"base"};
  writer.keep(now_);
  EXPECT_THAT(mounted(), ElementsAre("a", "base", "base+"));

  const std::shared_ptr<const Table> origin = now_["base"].live;
  hand_over("base");
  writer.keep_new(now_);
  EXPECT_THAT(mounted(), ElementsAre("base"));
  EXPECT_EQ(origin_path_of(dir_.path(), "base"), "/spec/img");
  EXPECT_TRUE(files().contains("a.yaml"));

  writer.keep(now_);
  EXPECT_EQ(files(),
            (Files{{"base.yaml",
                    "origin_device: \"/spec/img\"\n"
                    "handover_from: a\n"
                    "target: snapshot-merge\norigin: base\ncow: c\n"}}));

  now_["base"] = KeptDevice();
  now_["base"].live = origin;
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin}}));
}

TEST_F(SpecWriterTest, the_device_of_a_merge_is_in_a_file_of_several_too) {
  write_spec({{"all.yaml", "name: base\n" + std::string(kOrigin) +
                               "---\nname: a\n" + snapshot("c")}});
  SpecWriter& writer = mount("all.yaml");
  now_["base"].live = merge_into_base();
  now_.erase("a");
  writer.keep(now_);
  EXPECT_EQ(origin_path_of(dir_.path("all.yaml"), "base"), "/spec/img");
}

TEST_F(SpecWriterTest, a_merge_that_was_resumed_by_hand_is_live_again) {
  write_spec({{"base.yaml", kOrigin}});
  SpecWriter& writer = mount();
  now_["base"].live = merge_into_base("activate: manual\n");
  writer.keep(now_);
  EXPECT_TRUE(read_spec(dir_.path()).tables.at(0).was_live);
}

TEST_F(SpecWriterTest, what_a_merge_has_left_is_an_origin) {
  write_spec({{"base.yaml", kOrigin}});
  SpecWriter& writer = mount();
  Table left = *now_["base"].live;
  left.text.clear();
  now_["base"].live = std::make_shared<const Table>(left);
  writer.keep(now_);
  EXPECT_EQ(files().at("base.yaml"),
            "name: \"base\"\ntarget: snapshot-origin\ndevice: \"" +
                dir_.path("img") + "\"\n");
}

TEST_F(SpecWriterTest, a_handover_is_taken_back) {
  const Files before{{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}};
  write_spec(before);
  SpecWriter& writer = mount();
  for (const std::string name : {"a", "b"}) {
    const KeptDevices live = now_;
    set_next(name, snapshot("c", "mode: 0640\n"), "a");
    writer.keep(now_);
    const KeptDevices waiting = now_;
    const Files waiting_files = files();
    hand_over(name);
    writer.keep_new(now_);
    writer.keep(waiting);
    EXPECT_EQ(files(), waiting_files);
    now_ = live;
    writer.keep(now_);
    EXPECT_EQ(files(), before);
  }
}

TEST_F(SpecWriterTest, stores_that_go_back_and_forth_are_never_in_doubt) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  std::string from = "a";
  for (int i = 0; i < 6; ++i) {
    const std::string to = from == "a" ? "b" : "a";
    set_next(to, snapshot("c"), from);
    writer.keep_new(now_);
    EXPECT_THAT(mounted(), ElementsAre(testing::_, testing::_, "base"));
    hand_over(to);
    writer.keep_new(now_);
    EXPECT_THAT(mounted(), ElementsAre(to, "base"));
    writer.keep(now_);
    now_[to].handed_over_from.clear();
    if (i % 2 == 0) writer.keep(now_);
    from = to;
  }
}

TEST_F(SpecWriterTest, tables_of_a_group_name_each_other) {
  write_spec({{"base.yaml", kOrigin},
              {"a.yaml", snapshot("c")},
              {"d.yaml", snapshot("e")}});
  SpecWriter& writer = mount();
  set_next("a", snapshot("c", "store: PO\n"), "a");
  set_next("f", snapshot("e"), "d");
  now_["a"].group = now_["f"].group = {"a", "f"};
  writer.keep(now_);
  Spec spec = read_spec(dir_.path());
  ASSERT_EQ(waiting_groups(spec).size(), 1u);
  EXPECT_EQ(waiting_groups(spec)[0].size(), 2u);
  hand_over("a");
  hand_over("f");
  writer.keep_new(now_);
  // Those that still wait are live already, which a mount sees.
  EXPECT_THAT(mounted(), ElementsAre("a", "base", "f"));
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin},
                            {"a.yaml", snapshot("c", "store: PO\n")},
                            {"f.yaml", "handover_from: d\n" + snapshot("e")}}));
}

// Names that have come to the directory or gone from it, in that order.
class Watch {
 public:
  explicit Watch(const std::string& path)
      : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    EXPECT_GE(
        ::inotify_add_watch(fd_.get(), path.c_str(), IN_MOVED_TO | IN_DELETE),
        0);
  }
  std::vector<std::string> names() {
    alignas(inotify_event) char buffer[4096];
    const ssize_t size = ::read(fd_.get(), buffer, sizeof buffer);
    std::vector<std::string> result;
    for (ssize_t at = 0; at < size;) {
      auto* event = reinterpret_cast<inotify_event*>(buffer + at);
      result.emplace_back(event->name);
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return result;
  }

 private:
  UniqueFd fd_;
};

TEST_F(SpecWriterTest, origins_come_first_and_go_last) {
  SpecWriter& writer = mount();
  set_live("base", kOrigin);
  set_live("a", snapshot("a"));
  set_next("c", snapshot("a"), "a");
  Watch watch(dir_.path());
  writer.keep(now_);
  EXPECT_THAT(watch.names(), ElementsAre("base.yaml", "a.yaml", "c.next.yaml"));
  now_.clear();
  writer.keep(now_);
  EXPECT_THAT(watch.names(), ElementsAre("c.next.yaml", "a.yaml", "base.yaml"));
}

TEST_F(SpecWriterTest, what_had_come_before_an_error_goes_again) {
  SpecWriter& writer = mount();
  dir_.write_file("z.yaml", "somebody else's");
  set_live("base", kOrigin);
  set_live("a", snapshot("a"));
  set_live("z", snapshot("z"));
  EXPECT_THAT(error_of([&] { writer.keep_new(now_); }),
              HasSubstr("z.yaml was changed by somebody else"));
  EXPECT_EQ(files(), (Files{{"z.yaml", "somebody else's"}}));
}

TEST_F(SpecWriterTest, an_origin_that_is_named_cannot_go) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("a")}});
  SpecWriter& writer = mount();
  now_.erase("base");
  EXPECT_EQ(error_of([&] { writer.keep(now_); }),
            "the saved table of a names base as its origin; remove a first: in "
            "use");
  EXPECT_EQ(files().size(), 2u);
  now_.erase("a");
  writer.keep(now_);
  EXPECT_EQ(files(), Files{});
}

TEST_F(SpecWriterTest, a_file_of_several_tables_is_rewritten) {
  write_spec({{"all.yaml", "name: base\n" + std::string(kOrigin) +
                               "---\n# a's\nname: a\n" + snapshot("a") +
                               "---\nname: b\n" + snapshot("b")}});
  SpecWriter& writer = mount();
  now_.erase("b");
  writer.keep(now_);
  EXPECT_EQ(files(),
            (Files{{"all.yaml", "name: base\n" + std::string(kOrigin) +
                                    "---\n# a's\nname: a\n" + snapshot("a")}}));
  // A handover from it, and one inside it.
  set_next("c", snapshot("a"), "a");
  writer.keep(now_);
  hand_over("c");
  writer.keep_new(now_);
  EXPECT_THAT(mounted(), ElementsAre("base", "c"));
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"all.yaml", "name: base\n" + std::string(kOrigin)},
                            {"c.yaml", "handover_from: a\n" + snapshot("a")}}));
}

TEST_F(SpecWriterTest, a_file_of_several_tables_keeps_the_table_of_a_handover) {
  write_spec({{"all.yaml", "name: base\n" + std::string(kOrigin) +
                               "---\nname: a\n" + snapshot("a")}});
  SpecWriter& writer = mount();
  set_next("a", snapshot("a", "store: PO\n"), "a");
  writer.keep(now_);
  EXPECT_EQ(files().at("a.next.yaml"), snapshot("a", "store: PO\n"));
  hand_over("a");
  writer.keep_new(now_);
  EXPECT_THAT(mounted(), ElementsAre("a", "base"));
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"all.yaml", "name: base\n" + std::string(kOrigin) +
                                             "---\nname: a\n" +
                                             snapshot("a", "store: PO\n")}}));
}

TEST_F(SpecWriterTest, a_spec_that_is_a_file_holds_everything) {
  write_spec({{"vm.yaml", kOrigin}});
  SpecWriter& writer = mount("vm.yaml");
  set_live("a", "target: snapshot\norigin: vm\ncow: a\n");
  writer.keep(now_);
  set_next("b", "target: snapshot\norigin: vm\ncow: a\n", "a");
  writer.keep(now_);
  EXPECT_THAT(mounted(dir_.path("vm.yaml")), ElementsAre("a", "b+", "vm"));
  hand_over("b");
  writer.keep_new(now_);
  EXPECT_EQ(
      files(),
      (Files{{"vm.yaml", "name: vm\n" + std::string(kOrigin) +
                             "---\nname: b\ntarget: snapshot\norigin: vm\n"
                             "cow: a\n"}}));
  now_.erase("b");
  writer.keep(now_);
  const Files origin{{"vm.yaml", "name: vm\n" + std::string(kOrigin)}};
  EXPECT_EQ(files(), origin);
  now_.clear();
  EXPECT_THAT(error_of([&] { writer.keep(now_); }),
              HasSubstr("vm.yaml: a table file needs a table"));
  EXPECT_THAT(mounted(dir_.path("vm.yaml")), ElementsAre("vm"));
}

TEST_F(SpecWriterTest, the_file_behind_a_link_is_written) {
  std::filesystem::create_directory(dir_.path("real"));
  write_spec({{"real/tables", kOrigin}});
  std::filesystem::create_symlink("real/tables", dir_.path("vm.yaml"));
  SpecWriter& writer = mount("vm.yaml");
  set_live("a", "target: snapshot\norigin: vm\ncow: a\n");
  writer.keep(now_);
  EXPECT_TRUE(std::filesystem::is_symlink(dir_.path("vm.yaml")));
  EXPECT_THAT(mounted(dir_.path("vm.yaml")), ElementsAre("a", "vm"));
  EXPECT_EQ(read_spec(dir_.path("vm.yaml")).base_dir, dir_.path());
}

TEST_F(SpecWriterTest, what_others_have_written_is_not_overwritten) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  const KeptDevices before = now_;
  dir_.write_file("a.yaml", snapshot("c", "# edited\n"));
  now_.erase("a");
  EXPECT_THAT(error_of([&] { writer.keep(now_); }),
              HasSubstr("`snapfs reload` reads SPEC again"));
  EXPECT_EQ(files().at("a.yaml"), snapshot("c", "# edited\n"));
  // What has nothing to do with it goes on.
  now_ = before;
  set_live("b", snapshot("b"));
  writer.keep(now_);
  EXPECT_EQ(files().at("a.yaml"), snapshot("c", "# edited\n"));
  writer.refresh(read_spec(dir_.path()));
  now_.erase("a");
  writer.keep(now_);
  EXPECT_FALSE(files().contains("a.yaml"));
}

TEST_F(SpecWriterTest, a_file_that_others_have_deleted_is_no_obstacle) {
  write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  SpecWriter& writer = mount();
  ASSERT_EQ(0, ::unlink(dir_.path("a.yaml").c_str()));
  now_.erase("a");
  writer.keep(now_);
  EXPECT_EQ(files(), (Files{{"base.yaml", kOrigin}}));
}

TEST_F(SpecWriterTest, what_a_killed_daemon_has_left_is_put_right) {
  write_spec({{"base.yaml", kOrigin},
              {"a.yaml", snapshot("c")},
              {"b.yaml", "handover_from: a\n" + snapshot("c")},
              {".snapfs-save.tmp", "half a ta"}});
  Spec spec = read_spec(dir_.path());
  test::MemoryOpener opener;
  test::EventRecorder events;
  drop_replaced(spec, opener, events);
  ASSERT_EQ(spec.tables.size(), 2u);
  for (const Table& each : spec.tables)
    now_[each.name].live = std::make_shared<const Table>(each);
  SpecWriter writer(spec);
  writer.keep(now_);
  EXPECT_EQ(files(),
            (Files{{"base.yaml", kOrigin}, {"b.yaml", snapshot("c")}}));
}

// ---- A directory that cannot be written

// A small file system of its own.
class SmallFilesystem {
 public:
  explicit SmallFilesystem(const std::string& path) : path_(path) {
    mounted_ = ::mount("none", path.c_str(), "tmpfs", 0, "size=64k") == 0;
  }
  ~SmallFilesystem() {
    if (mounted_ && ::umount2(path_.c_str(), MNT_DETACH) != 0)
      ADD_FAILURE() << "cannot unmount " << path_;
  }
  SmallFilesystem(const SmallFilesystem&) = delete;
  SmallFilesystem& operator=(const SmallFilesystem&) = delete;

  bool mounted() const { return mounted_; }
  void make_read_only(bool read_only) {
    ASSERT_EQ(0, ::mount("none", path_.c_str(), nullptr,
                         MS_REMOUNT | (read_only ? MS_RDONLY : 0), nullptr));
  }
  void fill() {
    UniqueFd fd(::open((path_ + "/.filler").c_str(),
                       O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(fd);
    const std::string page(4096, 'x');
    while (::write(fd.get(), page.data(), page.size()) > 0) continue;
    ASSERT_EQ(errno, ENOSPC);
  }
  void empty() { ::unlink((path_ + "/.filler").c_str()); }

 private:
  const std::string path_;
  bool mounted_ = false;
};

class FailingSpec : public SpecWriterTest {
 protected:
  void SetUp() override {
    small_.emplace(dir_.path());
    if (!small_->mounted()) GTEST_SKIP() << "needs the right to mount";
    write_spec({{"base.yaml", kOrigin}, {"a.yaml", snapshot("c")}});
  }
  int errno_of_keeping(bool all = false) {
    try {
      all ? writer_->keep(now_) : writer_->keep_new(now_);
    } catch (const std::exception& error) {
      return errno_of(error);
    }
    return 0;
  }

  std::optional<SmallFilesystem> small_;
};

TEST_F(FailingSpec, a_read_only_one_refuses_everything) {
  mount();
  const Files before = files();
  const KeptDevices live = now_;
  small_->make_read_only(true);
  set_live("d", snapshot("d"));
  EXPECT_EQ(errno_of_keeping(), EROFS);
  now_ = live;
  now_.erase("a");
  EXPECT_EQ(errno_of_keeping(true), EROFS);
  EXPECT_EQ(files(), before);
  // And afterwards it is as if nothing had been asked for.
  small_->make_read_only(false);
  now_ = live;
  EXPECT_EQ(errno_of_keeping(true), 0);
  EXPECT_EQ(files(), before);
  set_live("d", snapshot("d"));
  EXPECT_EQ(errno_of_keeping(), 0);
  EXPECT_EQ(files().size(), 3u);
}

TEST_F(FailingSpec, a_full_one_takes_no_table_and_is_left_as_it_was) {
  mount();
  small_->fill();
  const Files before = files();
  set_live("d", snapshot("d"));
  EXPECT_EQ(errno_of_keeping(), ENOSPC);
  EXPECT_EQ(files(), before);
}

TEST_F(FailingSpec, a_handover_needs_no_space) {
  mount();
  for (const std::string name : {"a", "b"}) {
    set_next(name, snapshot("c", "mode: 0640\n"), "a");
    ASSERT_EQ(errno_of_keeping(true), 0);
    small_->fill();
    hand_over(name);
    EXPECT_EQ(errno_of_keeping(), 0);
    EXPECT_EQ(errno_of_keeping(true), 0);
    EXPECT_THAT(mounted(), ElementsAre(name, "base"));
    small_->empty();
  }
}

TEST_F(FailingSpec, one_that_cannot_be_put_right_at_first_is_later) {
  dir_.write_file("b.yaml", "handover_from: gone\n" + snapshot("d"));
  Spec spec = read_spec(dir_.path());
  for (const Table& each : spec.tables)
    now_[each.name].live = std::make_shared<const Table>(each);
  small_->make_read_only(true);
  writer_.emplace(spec);
  EXPECT_EQ(errno_of_keeping(true), EROFS);
  small_->make_read_only(false);
  set_live("e", snapshot("e"));
  EXPECT_EQ(errno_of_keeping(true), 0);
  EXPECT_EQ(files().at("b.yaml"), snapshot("d"));
  EXPECT_EQ(files().size(), 4u);
}

}  // namespace
}  // namespace snapfs
