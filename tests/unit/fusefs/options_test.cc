// SPDX-License-Identifier: MIT
//
// Command lines of the mount programs: what each says, or the exact complaint.
#include "fusefs/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ostream>
#include <sstream>

namespace snapfs {
namespace {

// Everything a command line can say, in one comparable line; what has its
// default is left out.
std::string described(const MountCommand& command) {
  if (command.request == Request::help) return "help";
  if (command.request == Request::version) return "version";
  const MountOptions& options = command.options;
  std::ostringstream out;
  out << options.spec << " on " << options.mount_point;
  if (options.foreground) out << " foreground";
  if (options.debug) out << " debug";
  if (options.fake) out << " fake";
  if (options.sloppy) out << " sloppy";
  if (options.verbose) out << " verbose";
  if (options.read_only) out << " ro";
  if (options.save) out << " save";
  if (options.mount_namespace) out << " ns=" << *options.mount_namespace;
  if (options.uid) out << " uid=" << *options.uid;
  if (options.gid) out << " gid=" << *options.gid;
  if (options.fsname) out << " fsname=" << *options.fsname;
  if (options.allow_other) out << " allow_other";
  if (options.max_threads != 32) out << " threads=" << options.max_threads;
  if (options.clone_fd) out << " clone_fd";
  for (const std::string& option : options.passed_on)
    out << " [" << option << "]";
  return out.str();
}

std::string outcome(FlagStyle style, const std::vector<std::string>& line) {
  try {
    return described(parse_mount_command(style, line));
  } catch (const UsageError& error) {
    return std::string("error: ") + error.what();
  }
}

struct Case {
  FlagStyle style;
  std::vector<std::string> line;
  std::string expected;
};

void PrintTo(const Case& test, std::ostream* out) {
  *out << (test.style == FlagStyle::fuse ? "snapfs mount" : "mount.snapfs");
  for (const std::string& word : test.line) *out << ' ' << word;
}

constexpr FlagStyle kFuse = FlagStyle::fuse;
constexpr FlagStyle kMount = FlagStyle::mount;

class CommandLine : public testing::TestWithParam<Case> {};

TEST_P(CommandLine, says) {
  EXPECT_EQ(outcome(GetParam().style, GetParam().line), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    fuse_flags, CommandLine,
    testing::Values(
        Case{kFuse, {"s.yaml", "/mnt"}, "s.yaml on /mnt"},
        Case{kFuse, {"s.yaml", "/mnt", "-f"}, "s.yaml on /mnt foreground"},
        Case{kFuse, {"-f", "s.yaml", "/mnt"}, "s.yaml on /mnt foreground"},
        Case{kFuse, {"s", "/mnt", "-d"}, "s on /mnt foreground debug"},
        Case{kFuse, {"s", "/mnt", "-s"}, "s on /mnt threads=1"},
        Case{kFuse, {"s", "/mnt", "-r"}, "s on /mnt ro"},
        Case{kFuse, {"s", "/mnt", "-v"}, "s on /mnt verbose"},
        Case{kFuse, {"s", "/mnt", "-fd"}, "s on /mnt foreground debug"},
        Case{kFuse, {"--", "-s", "-m"}, "-s on -m"},
        Case{kFuse, {"-h"}, "help"}, Case{kFuse, {"--help"}, "help"},
        Case{kFuse, {"s", "/mnt", "-V", "-o", "nonsense"}, "version"},
        Case{kFuse, {"--version"}, "version"},
        Case{kFuse, {"s", "/mnt", "-n"}, "error: unknown option: -n"},
        Case{kFuse, {"s", "/mnt", "--wrong"}, "error: unknown option: --wrong"},
        Case{kFuse, {"s", "/mnt", "-o"}, "error: option -o needs an argument"},
        Case{kFuse, {}, "error: SPEC and DIR are missing"},
        Case{kFuse, {"s"}, "error: DIR is missing"},
        Case{kFuse, {"s", "/mnt", "x"}, "error: one argument too many: x"}));

INSTANTIATE_TEST_SUITE_P(
    mount_flags, CommandLine,
    testing::Values(
        // What mount(8) calls a helper with.
        Case{kMount, {"/s.yaml", "/mnt", "-o", "rw"}, "/s.yaml on /mnt"},
        Case{kMount, {"/s", "/mnt", "-o", "ro"}, "/s on /mnt ro"},
        Case{kMount, {"/s", "/mnt", "-f", "-o", "rw"}, "/s on /mnt fake"},
        Case{kMount, {"/s", "/mnt", "-n", "-v"}, "/s on /mnt verbose"},
        Case{kMount,
             {"/s", "/mnt", "-sfnv", "-N", "42", "-o", "rw", "-t", "snapfs.x"},
             "/s on /mnt fake sloppy verbose ns=42"},
        Case{kMount,
             {"/s", "/mnt", "-o", "rw,noexec,nosuid,nodev,user,nofail,_netdev"},
             "/s on /mnt [noexec] [nosuid] [nodev]"},
        Case{kMount,
             {"/s", "/mnt", "-o", "foreground"},
             "/s on /mnt foreground"},
        Case{kMount,
             {"/s", "/mnt", "-o", "debug"},
             "/s on /mnt foreground debug"},
        Case{kMount, {"/s", "/mnt", "-d"}, "error: unknown option: -d"},
        Case{kMount, {"-h"}, "help"}, Case{kMount, {"-V"}, "version"},
        Case{kMount,
             {"/s", "/mnt", "-N"},
             "error: option -N needs an argument"}));

INSTANTIATE_TEST_SUITE_P(
    option_strings, CommandLine,
    testing::Values(
        Case{kFuse, {"s", "/m", "-o", "ro,rw"}, "s on /m"},
        Case{kFuse, {"s", "/m", "-o", "save"}, "s on /m save"},
        Case{kFuse, {"s", "/m", "-o", "save,nosave"}, "s on /m"},
        Case{kFuse, {"s", "/m", "-oro"}, "s on /m ro"},
        Case{kFuse,
             {"s", "/m", "-o", "ro", "-o", "allow_other"},
             "s on /m ro allow_other"},
        Case{kFuse, {"s", "/m", "-o", ",,ro,"}, "s on /m ro"},
        Case{
            kFuse, {"s", "/m", "-o", "uid=12,gid=34"}, "s on /m uid=12 gid=34"},
        Case{kFuse,
             {"s", "/m", "-o", "uid=root,gid=root"},
             "s on /m uid=0 gid=0"},
        Case{kFuse,
             {"s", "/m", "-o", "max_threads=4,clone_fd"},
             "s on /m threads=4 clone_fd"},
        Case{kFuse,
             {"s", "/m", "-o", "fsname=vm,subtype=snapfs"},
             "s on /m fsname=vm"},
        Case{kFuse,
             {"s", "/m", "-o", "fsname=a\\,b,ro"},
             "s on /m ro fsname=a,b"},
        Case{kFuse,
             {"s", "/m", "-o", "context=\"u:r:t:s0:c1,c2\",ro"},
             "s on /m ro [context=\"u:r:t:s0:c1,c2\"]"},
        Case{kFuse,
             {"s", "/m", "-o", "context=u:r:t:s0"},
             "s on /m [context=u:r:t:s0]"},
        Case{kFuse,
             {"s", "/m", "-o", "noatime,relatime,strictatime,nodiratime"},
             "s on /m [noatime]"},
        Case{
            kFuse,
            {"s", "/m", "-o",
             "auto,noauto,defaults,nofail,_netdev,user,user=me,users,nouser,"
             "owner,group,comment=x,x-systemd.requires=a.service,X-mount.mkdir,"
             "nonempty,default_permissions"},
            "s on /m"},
        Case{kFuse,
             {"s", "/m", "-o", "dev,suid,exec,sync"},
             "s on /m [dev] [suid] [exec] [sync]"},
        Case{kFuse,
             {"s", "/m", "-o", "auto_unmount,allow_root"},
             "s on /m [auto_unmount] [allow_root]"}));

INSTANTIATE_TEST_SUITE_P(
    wrong_option_strings, CommandLine,
    testing::Values(
        Case{kFuse,
             {"s", "/m", "-o", "ro,wrong"},
             "error: unknown option: wrong"},
        Case{kMount,
             {"s", "/m", "-o", "wrong=1"},
             "error: unknown option: wrong=1"},
        Case{kMount,
             {"s", "/m", "-o", "ro,wrong,wrong=1", "-s"},
             "s on /m sloppy ro"},
        Case{kFuse,
             {"s", "/m", "-o", "ro=1"},
             "error: option ro takes no value"},
        Case{
            kFuse, {"s", "/m", "-o", "uid"}, "error: option uid needs a value"},
        Case{kFuse,
             {"s", "/m", "-o", "nofail=1"},
             "error: option nofail takes no value"},
        Case{kFuse,
             {"s", "/m", "-o", "context"},
             "error: option context needs a value"},
        Case{kFuse,
             {"s", "/m", "-o", "uid=no such user"},
             "error: option uid: expected a user, got \"no such user\""},
        Case{kFuse,
             {"s", "/m", "-o", "gid=-1"},
             "error: option gid: expected a group, got \"-1\""},
        Case{kFuse,
             {"s", "/m", "-o", "max_threads=0"},
             "error: option max_threads: expected a number from 1 to 1024, got "
             "\"0\""},
        Case{kFuse,
             {"s", "/m", "-o", "max_threads=4x"},
             "error: option max_threads: expected a number from 1 to 1024, got "
             "\"4x\""},
        Case{kFuse,
             {"s", "/m", "-o", "subtype=vm"},
             "error: option subtype: expected snapfs, got \"vm\""},
        Case{kFuse,
             {"s", "/m", "-o", "fsname="},
             "error: option fsname: expected a text, got \"\""},
        Case{kMount,
             {"s", "/m", "-o", "remount,ro", "-s"},
             "error: option remount: a snapfs cannot be remounted, unmount it "
             "and mount it again"}));

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

std::vector<std::string> told(const std::string& option_string, bool is_root,
                              const std::string& spec = "/s.yaml") {
  MountOptions options;
  take_option_string(option_string, options);
  return session_options(options, spec, is_root);
}

TEST(SessionOptions, root_mount_is_for_everybody_with_permissions_checked) {
  EXPECT_THAT(told("", true),
              ElementsAre("fsname=/s.yaml", "subtype=snapfs",
                          "default_permissions", "allow_other", "rw"));
}

TEST(SessionOptions, user_mount_is_for_the_user_alone) {
  EXPECT_THAT(told("", false), Not(Contains("allow_other")));
  EXPECT_THAT(told("", false), Contains("default_permissions"));
}

TEST(SessionOptions, user_may_ask_for_everybody) {
  EXPECT_THAT(told("allow_other", false), Contains("allow_other"));
}

TEST(SessionOptions, read_only_reaches_the_kernel) {
  EXPECT_THAT(told("ro", true), Contains("ro"));
  EXPECT_THAT(told("ro", true), Not(Contains("rw")));
}

TEST(SessionOptions, comma_and_backslash_in_spec_are_escaped) {
  EXPECT_THAT(told("", true, "/a,b\\c"), Contains("fsname=/a\\,b\\\\c"));
}

TEST(SessionOptions, given_fsname_wins) {
  EXPECT_THAT(told("fsname=vm", true), Contains("fsname=vm"));
}

TEST(SessionOptions, comma_in_a_context_stays_in_quotes) {
  EXPECT_THAT(told("context=\"u:c1,c2\"", true),
              Contains("context=\"u:c1\\,c2\""));
}

TEST(MountHelp, names_the_flags_of_its_style) {
  EXPECT_THAT(mount_help(kFuse), testing::HasSubstr("usage: snapfs mount"));
  EXPECT_THAT(mount_help(kMount), testing::HasSubstr("usage: mount.snapfs"));
}

}  // namespace
}  // namespace snapfs
