// SPDX-License-Identifier: MIT
#include "fusefs/content_probe.h"

#include <blkid/blkid.h>

#include <cerrno>
#include <memory>

#include "core/error.h"

namespace snapfs {
namespace {

struct FreeProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<blkid_struct_probe, FreeProbe>;

std::string value_of(const Probe& probe, const char* name) {
  const char* value = nullptr;
  if (blkid_probe_lookup_value(probe.get(), name, &value, nullptr) != 0) {
    return "";
  }
  return value;
}

// "an ext4", "a btrfs", "an xfs": what is spelled out is spoken by letters.
std::string with_article(const std::string& noun) {
  bool is_vowel = std::string("aeioAEIO").find(noun[0]) != std::string::npos;
  for (const char* spelled : {"xfs", "ntfs", "hfs", "f2fs", "LVM", "mpt"}) {
    if (noun.starts_with(spelled)) is_vowel = true;
  }
  return (is_vowel ? "an " : "a ") + noun;
}

std::string kind_of(const std::string& usage) {
  if (usage == "filesystem") return " filesystem";
  if (usage == "raid") return " (part of an array or volume group)";
  if (usage == "crypto") return " (encrypted volume)";
  return "";
}

std::string describe_superblock(const Probe& probe) {
  std::string type = value_of(probe, "TYPE");
  if (type.empty() || type == "DM_snapshot_cow") return "";
  std::string text =
      type == "swap" ? "swap space"
                     : with_article(type) + kind_of(value_of(probe, "USAGE"));
  if (std::string label = value_of(probe, "LABEL"); !label.empty()) {
    return text + " (label \"" + label + "\")";
  }
  if (std::string uuid = value_of(probe, "UUID"); !uuid.empty()) {
    return text + " (UUID " + uuid + ")";
  }
  return text;
}

}  // namespace

std::string probe_content(int fd, const std::string& name) {
  constexpr int kFound = 0;
  constexpr int kNothing = 1;
  constexpr int kAmbiguous = -2;

  Probe probe(blkid_new_probe());
  if (!probe) throw_errno(ENOMEM, "cannot probe", name);
  errno = 0;
  if (blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) {
    throw_errno(errno != 0 ? errno : EIO, "cannot probe", name);
  }
  blkid_probe_enable_superblocks(probe.get(), 1);
  // A superblock with a bad checksum is still somebody's.
  blkid_probe_set_superblocks_flags(
      probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
                       BLKID_SUBLKS_UUID | BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);

  errno = 0;
  int outcome = blkid_do_safeprobe(probe.get());
  if (outcome == kNothing) return "";
  if (outcome == kAmbiguous) return "the marks of several known formats";
  if (outcome != kFound) {
    throw_errno(errno != 0 ? errno : EIO, "cannot probe", name);
  }
  std::string superblock = describe_superblock(probe);
  std::string partitions = value_of(probe, "PTTYPE");
  if (partitions.empty()) return superblock;
  std::string table = with_article(partitions) + " partition table";
  return superblock.empty() ? table : superblock + " and " + table;
}

}  // namespace snapfs
