// SPDX-License-Identifier: MIT
#include "fusefs/spec_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include "config/table_notes.h"
#include "config/table_writer.h"
#include "core/error.h"

namespace snapfs {
namespace {

// Hidden, so that nobody takes it for a table. What a daemon that was killed
// has left is used again.
constexpr char kTemporary[] = ".snapfs-save.tmp";
constexpr char kNextEnding[] = ".next.yaml";

constexpr int kOriginRank = 0;
constexpr int kSnapshotRank = 1;
constexpr int kWaitingRank = 2;

// A merge is one, too.
bool is_origin(const Table& table) {
  const auto* snapshot = std::get_if<SnapshotTable>(&table.target);
  return snapshot == nullptr || snapshot->merge;
}

int rank_of(const Table& table) {
  if (table.waits) return kWaitingRank;
  return is_origin(table) ? kOriginRank : kSnapshotRank;
}

template <typename Entries>
int first_rank(const Entries& entries) {
  int rank = kWaitingRank;
  for (const auto& entry : entries) rank = std::min(rank, entry.rank);
  return rank;
}

// A document without the marker that it may begin with.
std::string without_marker(const std::string& text) {
  constexpr std::string_view kMarker = "---\n";
  return text.starts_with(kMarker) ? text.substr(kMarker.size()) : text;
}

bool same_text(const std::shared_ptr<const Table>& a,
               const std::shared_ptr<const Table>& b) {
  if (a == nullptr || b == nullptr) return a == b;
  return text_of(*a) == text_of(*b);
}

bool same_device(const KeptDevice& a, const KeptDevice& b) {
  return same_text(a.live, b.live) && same_text(a.next, b.next) &&
         a.handed_over_from == b.handed_over_from && a.source == b.source &&
         a.group == b.group;
}

const std::string* origin_of(const std::shared_ptr<const Table>& table) {
  if (table == nullptr) return nullptr;
  const auto* snapshot = std::get_if<SnapshotTable>(&table->target);
  return snapshot != nullptr ? &snapshot->origin : nullptr;
}

bool is_live_origin(const KeptDevice& device) {
  return device.live != nullptr && is_origin(*device.live);
}

// Of a merge whose origin is its own name, which a later mount cannot look up.
std::string origin_device_of(const Table& table) {
  const auto* snapshot = std::get_if<SnapshotTable>(&table.target);
  const bool names_itself =
      snapshot != nullptr && snapshot->merge && snapshot->origin == table.name;
  return names_itself ? snapshot->origin_path : std::string();
}

std::string real_path(const std::string& path) {
  char canonical[PATH_MAX];
  if (!::realpath(path.c_str(), canonical)) throw_errno("save to", path);
  return canonical;
}

void write_all(int fd, const std::string& text, const std::string& path) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("save", path);
    done += static_cast<std::size_t>(count);
  }
}

// Nothing: there is no such file.
std::optional<std::string> read_whole(int directory, const std::string& name,
                                      const std::string& path) {
  const UniqueFd fd(::openat(directory, name.c_str(),
                             O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw_errno("save", path);
  std::string text;
  char piece[16384];
  for (;;) {
    const ssize_t count = ::read(fd.get(), piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("save", path);
    if (count == 0) return text;
    text.append(piece, static_cast<std::size_t>(count));
    if (text.size() > kMaxTableBytes) return text;  // nothing of ours
  }
}

// Mode and owner of the file that is replaced. Without the right to give it
// away, it is the daemon's.
void take_attributes(int directory, const std::string& name, int fd) {
  struct stat old {};
  if (::fstatat(directory, name.c_str(), &old, 0) != 0) return;
  if (::fchown(fd, old.st_uid, old.st_gid) != 0) return;
  ::fchmod(fd, old.st_mode & 07777);
}

}  // namespace

SpecWriter::SpecWriter(const Spec& spec)
    : is_directory_(spec.is_directory),
      base_dir_(spec.base_dir),
      file_(spec.is_directory || spec.files.empty()
                ? std::string()
                : spec.files.begin()->first),
      directory_path_(real_path(spec.path)) {
  if (!is_directory_) {
    const std::size_t slash = directory_path_.rfind('/');
    real_name_ = directory_path_.substr(slash + 1);
    directory_path_.resize(std::max<std::size_t>(slash, 1));
  }
  directory_ = UniqueFd(
      ::open(directory_path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory_) throw_errno("save to", directory_path_);
  refresh(spec);
}

void SpecWriter::refresh(const Spec& spec) {
  std::map<std::string, File> files;
  for (const auto& [file, text] : spec.files)
    files[file] = read_back(file, text);
  MutexLock lock(mutex_);
  files_ = std::move(files);
}

KeptDevices SpecWriter::kept() const {
  MutexLock lock(mutex_);
  return kept_;
}

void SpecWriter::keep_new(const KeptDevices& devices) {
  change(devices, false);
}

void SpecWriter::keep(const KeptDevices& devices) { change(devices, true); }

void SpecWriter::change(const KeptDevices& devices, bool drop_old) {
  MutexLock lock(mutex_);
  check_origins(devices);
  std::set<std::string> names = changed_names(devices);
  if (names.empty()) {
    is_first_ = false;
    return;
  }
  try {
    sync(devices, names, drop_old);
  } catch (...) {
    if (!is_first_) {
      try {
        sync(kept_, names, true);
      } catch (const std::exception&) {
        // Tried again with the next change. What is there mounts, as after a
        // kill at this point.
        unfinished_.insert(names.begin(), names.end());
      }
    } else if (kept_.empty()) {
      kept_ = devices;
    }
    throw;
  }
  kept_ = devices;
  is_first_ = false;
  unfinished_ = drop_old ? std::set<std::string>() : std::move(names);
}

// A table whose origin is not there would not mount.
void SpecWriter::check_origins(const KeptDevices& devices) const {
  for (const auto& [name, before] : kept_) {
    auto now = devices.find(name);
    if (!is_live_origin(before) ||
        (now != devices.end() && is_live_origin(now->second)))
      continue;
    for (const auto& [user, device] : devices) {
      for (const auto& table : {device.live, device.next}) {
        const std::string* origin = origin_of(table);
        if (origin == nullptr || *origin != name) continue;
        throw std::system_error(
            Errc::busy, "the saved table of " + user + " names " + name +
                            " as its origin; remove " + user + " first");
      }
    }
  }
}

std::set<std::string> SpecWriter::changed_names(
    const KeptDevices& devices) const {
  std::set<std::string> names = unfinished_;
  for (const auto& [name, device] : devices) {
    auto before = kept_.find(name);
    if (is_first_ || before == kept_.end() ||
        !same_device(before->second, device))
      names.insert(name);
  }
  for (const auto& [name, device] : kept_)
    if (!devices.contains(name)) names.insert(name);
  if (!is_first_) return names;
  for (const auto& [file, content] : files_)
    for (const Entry& entry : content.entries) names.insert(entry.name);
  return names;
}

std::vector<SpecWriter::Entry> SpecWriter::entries_of(
    const std::string& name, const KeptDevice& device) const {
  std::vector<Entry> entries;
  if (device.live != nullptr) {
    TableNotes notes;
    // A file is replaced as a whole: no mount finds the source's table, too.
    if (is_directory_) notes.handed_over_from = device.handed_over_from;
    // It would have to be resumed again otherwise.
    notes.was_live = device.live->activate == Activate::manual &&
                     std::holds_alternative<SnapshotTable>(device.live->target);
    notes.origin_device = origin_device_of(*device.live);
    entries.push_back({name, false, with_notes(text_of(*device.live), notes),
                       rank_of(*device.live)});
  }
  if (device.next != nullptr) {
    TableNotes notes;
    notes.waits = !is_directory_;
    if (is_directory_ && device.source != name)
      notes.handed_over_from = device.source;
    notes.origin_device = origin_device_of(*device.next);
    for (const std::string& other : device.group)
      if (other != name) notes.handed_over_with.push_back(other);
    entries.push_back(
        {name, true, with_notes(text_of(*device.next), notes), kWaitingRank});
  }
  return entries;
}

std::string SpecWriter::home_of(const Entry& entry) const {
  if (!is_directory_) return file_;
  if (entry.waits) return entry.name + kNextEnding;
  for (const auto& [file, content] : files_)
    for (const Entry& other : content.entries)
      if (other.name == entry.name && !other.waits) return file;
  return entry.name + ".yaml";
}

// The files that these names have to do with. Tables of other names stay in
// them as they are.
SpecWriter::Wanted SpecWriter::wanted_files(
    const KeptDevices& devices, const std::set<std::string>& names) const {
  std::map<std::string, std::vector<Entry>> additions;
  Wanted wanted;
  for (const std::string& name : names) {
    auto device = devices.find(name);
    if (device == devices.end()) continue;
    for (Entry& entry : entries_of(name, device->second)) {
      const std::string home = home_of(entry);
      wanted[home];
      additions[home].push_back(std::move(entry));
    }
  }
  for (const auto& [file, content] : files_) {
    bool is_concerned = wanted.contains(file);
    for (const Entry& entry : content.entries)
      is_concerned = is_concerned || names.contains(entry.name);
    if (!is_concerned) continue;
    std::vector<Entry>& entries = wanted[file];
    std::vector<Entry>& mine = additions[file];
    for (const Entry& entry : content.entries) {
      if (!names.contains(entry.name)) {
        entries.push_back(entry);
        continue;
      }
      auto same = std::find_if(mine.begin(), mine.end(), [&](const Entry& e) {
        return e.name == entry.name && e.waits == entry.waits;
      });
      if (same == mine.end()) continue;
      entries.push_back(std::move(*same));
      mine.erase(same);
    }
  }
  for (auto& [file, entries] : additions)
    for (Entry& entry : entries) wanted[file].push_back(std::move(entry));
  return wanted;
}

// First what comes, so that nothing is missing at any time: origins before
// those who name them. Then what goes, the other way round.
void SpecWriter::sync(const KeptDevices& devices,
                      const std::set<std::string>& names, bool drop_old) {
  const Wanted wanted = wanted_files(devices, names);
  std::vector<std::pair<int, std::string>> coming;
  std::vector<std::pair<int, std::string>> going;
  for (const auto& [file, entries] : wanted) {
    if (is_in_sync(file, entries)) continue;
    if (loses_tables(file, entries)) {
      going.emplace_back(-first_rank(files_.at(file).entries), file);
    } else {
      coming.emplace_back(first_rank(entries), file);
    }
  }
  std::sort(coming.begin(), coming.end());
  std::sort(going.begin(), going.end());
  for (const auto& [rank, file] : coming) write(file, wanted.at(file), wanted);
  if (!coming.empty()) sync_directory();
  if (!drop_old) return;
  bool has_dropped = false;
  for (const auto& [rank, file] : going) {
    // A renaming may have taken it already.
    if (!files_.contains(file)) continue;
    if (wanted.at(file).empty()) {
      drop(file);
    } else {
      write(file, wanted.at(file), wanted);
    }
    has_dropped = true;
  }
  if (has_dropped) sync_directory();
}

bool SpecWriter::is_in_sync(const std::string& file,
                            const std::vector<Entry>& entries) const {
  auto found = files_.find(file);
  if (found == files_.end()) return entries.empty();
  return !entries.empty() &&
         found->second.entries == make_file(file, entries).entries;
}

bool SpecWriter::loses_tables(const std::string& file,
                              const std::vector<Entry>& entries) const {
  auto found = files_.find(file);
  if (found == files_.end()) return false;
  // One file is replaced as a whole; there is no order to keep.
  if (!is_directory_ && !entries.empty()) return false;
  return std::any_of(found->second.entries.begin(), found->second.entries.end(),
                     [&](const Entry& old) {
                       return std::none_of(
                           entries.begin(), entries.end(), [&](const auto& e) {
                             return e.name == old.name && e.waits == old.waits;
                           });
                     });
}

SpecWriter::File SpecWriter::make_file(const std::string& file,
                                       std::vector<Entry> entries) const {
  const bool is_alone = entries.size() == 1;
  std::string text;
  for (Entry& entry : entries) {
    const bool is_named_so =
        file == entry.name + ".yaml" || file == entry.name + kNextEnding;
    if (!is_alone || !is_named_so) {
      // Removes no notes: none but the name is to be added.
      const std::vector<Table> tables =
          read_tables(entry.text, {shown(file), base_dir_, entry.name});
      const Table& table = tables.front();
      entry.text =
          with_notes(entry.text, {.name = entry.name,
                                  .handed_over_from = table.handed_over_from,
                                  .handed_over_with = table.group,
                                  .origin_device = origin_device_of(table),
                                  .waits = table.waits,
                                  .was_live = table.was_live});
    }
    if (!text.empty()) text += "---\n";
    text += is_alone ? entry.text : without_marker(entry.text);
    if (!is_alone && !text.ends_with('\n')) text += '\n';
  }
  File made = read_back(file, text);
  bool is_right =
      std::equal(made.entries.begin(), made.entries.end(), entries.begin(),
                 entries.end(), [](const Entry& a, const Entry& b) {
                   return a.name == b.name && a.waits == b.waits &&
                          same_table(a.text, b.text);
                 });
  if (is_right) return made;
  throw std::system_error(EINVAL, std::generic_category(),
                          shown(file) +
                              ": the tables cannot be written so "
                              "that they are read as they are");
}

SpecWriter::File SpecWriter::read_back(const std::string& file,
                                       const std::string& text) const {
  File result{text, {}};
  for (const Table& table :
       read_spec_file(file, text, {shown(file), base_dir_, ""})) {
    result.entries.push_back(
        {table.name, table.waits, without_marker(table.text), rank_of(table)});
  }
  return result;
}

// A file that has just this text, and is to go, becomes the wanted one.
bool SpecWriter::rename_instead(const std::string& file, const File& wanted,
                                const Wanted& all) {
  if (!is_directory_ || wanted.entries.size() != 1) return false;
  const std::string& name = wanted.entries.front().name;
  for (const std::string& other : {name + kNextEnding, name + ".yaml"}) {
    auto goes = all.find(other);
    auto there = files_.find(other);
    if (other == file || goes == all.end() || !goes->second.empty() ||
        there == files_.end() || there->second.text != wanted.text)
      continue;
    check_unchanged(other, nullptr);
    if (::renameat(directory_.get(), other.c_str(), directory_.get(),
                   file.c_str()) != 0) {
      if (errno == ENOENT) continue;
      throw_errno("save", shown(file));
    }
    files_.erase(other);
    files_[file] = wanted;
    return true;
  }
  return false;
}

void SpecWriter::write(const std::string& file,
                       const std::vector<Entry>& entries, const Wanted& all) {
  if (entries.empty()) {
    throw std::system_error(Errc::busy, shown(file) +
                                            ": a table file needs a table; the "
                                            "last one cannot be removed");
  }
  File wanted = make_file(file, entries);
  check_unchanged(file, &wanted.text);
  if (rename_instead(file, wanted, all)) return;
  const std::string name = disk_name(file);
  const int directory = directory_.get();
  const UniqueFd fd(
      ::openat(directory, kTemporary,
               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) throw_errno("save", shown(file));
  try {
    write_all(fd.get(), wanted.text, shown(file));
    take_attributes(directory, name, fd.get());
    if (::fsync(fd.get()) != 0) throw_errno("save", shown(file));
    if (::renameat(directory, kTemporary, directory, name.c_str()) != 0)
      throw_errno("save", shown(file));
  } catch (...) {
    ::unlinkat(directory, kTemporary, 0);
    throw;
  }
  files_[file] = std::move(wanted);
}

void SpecWriter::drop(const std::string& file) {
  if (!is_directory_) return write(file, {}, {});
  check_unchanged(file, nullptr);
  if (::unlinkat(directory_.get(), file.c_str(), 0) != 0 && errno != ENOENT)
    throw_errno("delete", shown(file));
  files_.erase(file);
}

// Nobody's work is overwritten. `wanted` may be there already; null: nothing
// is.
void SpecWriter::check_unchanged(const std::string& file,
                                 const std::string* wanted) const {
  const auto actual =
      read_whole(directory_.get(), disk_name(file), shown(file));
  if (!actual || (wanted != nullptr && *actual == *wanted)) return;
  auto seen = files_.find(file);
  if (seen != files_.end() && seen->second.text == *actual) return;
  throw std::system_error(Errc::busy,
                          shown(file) +
                              " was changed by somebody else; `snapfs reload` "
                              "reads SPEC again");
}

void SpecWriter::sync_directory() const {
  // Not every file system knows this; then there is nothing to wait for.
  if (::fsync(directory_.get()) != 0 && errno != EINVAL)
    throw_errno("save to", directory_path_);
}

std::string SpecWriter::disk_name(const std::string& file) const {
  return is_directory_ ? file : real_name_;
}

std::string SpecWriter::shown(const std::string& file) const {
  return directory_path_ + "/" + disk_name(file);
}

}  // namespace snapfs
