// SPDX-License-Identifier: MIT
#include "fusefs/daemon.h"

#include <unistd.h>

#include <csignal>
#include <utility>

#include "fusefs/file_users.h"
#include "fusefs/log.h"
#include "fusefs/saved_tables.h"
#include "fusefs/signals.h"

namespace snapfs {
namespace {

void log_event(bool is_error, const std::string& line) {
  log_message(is_error ? Severity::error : Severity::info, line);
}

HostDevices::Options host_options() {
  HostDevices::Options options;
  options.notice = [](const std::string& line) {
    log_message(Severity::notice, line);
  };
  return options;
}

}  // namespace

Daemon::Daemon(MountOptions options, std::string mount_point,
               WriteBackProcess* write_back)
    : options_(std::move(options)),
      mount_point_(std::move(mount_point)),
      write_back_(write_back),
      events_(log_event),
      host_(host_options()),
      created_(host_),
      devices_(created_, events_) {}

Daemon::~Daemon() {
  devices_.stop_merging();
  if (filesystem_) filesystem_->shut_down();
}

void Daemon::start() {
  Spec spec = read_spec(options_.spec);
  drop_replaced(spec, host_, events_);
  load(spec);
  if (options_.save && !options_.read_only) writer_.emplace(spec);
  reload_.emplace(devices_, host_, events_, spec);
  make_filesystem(spec.base_dir);
  mount(spec.path);
  note_mount();
}

// What waits waits for what is live.
void Daemon::load(const Spec& spec) {
  load(spec.tables);
  for (std::vector<Table>& group : waiting_groups(spec)) load(std::move(group));
}

void Daemon::load(std::vector<Table> tables) {
  if (options_.read_only) {
    for (Table& table : tables)
      std::visit([](auto& target) { target.read_only = true; }, table.target);
  }
  devices_.load(std::move(tables));
}

void Daemon::make_filesystem(const std::string& base_dir) {
  Filesystem::Options options;
  options.uid = options_.uid.value_or(::getuid());
  options.gid = options_.gid.value_or(::getgid());
  options.read_only = options_.read_only;
  options.base_dir = base_dir;
  options.mount_point = mount_point_;
  options.write_back = write_back_;
  // A read-only mount loads no tables.
  if (!options_.read_only) options.spec_reload = &*reload_;
  filesystem_.emplace(devices_, events_, std::move(options));
}

void Daemon::mount(const std::string& spec_path) {
  Session::Options options;
  options.mount_options =
      session_options(options_, spec_path, ::geteuid() == 0);
  options.max_threads = options_.max_threads;
  options.clone_fd = options_.clone_fd;
  session_.emplace(Filesystem::operations(), &*filesystem_, options);
  filesystem_->attach(session_->get());
  session_->mount(mount_point_);
  host_.set_own_mount(mount_point_);
  if (write_back_ != nullptr && session_->device())
    write_back_->set_mount(mount_point_, *session_->device());
  filesystem_->set_direct_io_mmap(session_->negotiate().direct_io_mmap);
}

void Daemon::note_mount() {
  // An ordinary user may have no place for it.
  if (MountRecord::directory().empty()) return;
  try {
    record_.emplace(mount_point_);
  } catch (const std::system_error& error) {
    log_message(Severity::warning, error.what());
  }
}

void Daemon::name_users(const std::vector<std::string>& names) {
  if (names.empty()) {
    for (const std::string& line : mount_users(mount_point_))
      log_message(Severity::warning, line);
  }
  for (const std::string& name : names) {
    const std::string users = file_users(mount_point_ + "/" + name);
    events_.on_event({EventKind::error, name,
                      "in use: " + (users.empty() ? "by whom, /proc and /sys "
                                                    "do not tell"
                                                  : users)});
  }
}

Termination::Actions Daemon::termination_actions() {
  return {
      .open_devices = [this] { return filesystem_->open_devices(); },
      .name_users =
          [this](const std::vector<std::string>& names) { name_users(names); },
      .flush = [this] { devices_.flush_all(); },
      .unmount =
          [this] {
            return session_->unmount() == Session::UnmountResult::done;
          },
      .end =
          [this] {
            // Who waits gets an answer while there is somebody to send it.
            devices_.stop_merging();
            filesystem_->shut_down();
            session_->end();
          },
  };
}

// A SPEC that cannot be written is no reason not to serve what it says.
void Daemon::begin_to_save() {
  if (!writer_) return;
  reload_->set_writer(&*writer_);
  try {
    devices_.set_keeper(&*writer_);
  } catch (const std::exception& error) {
    events_.on_event({EventKind::error, "",
                      std::string("tables cannot be saved: ") + error.what()});
  }
}

void Daemon::reload() {
  if (options_.read_only) {
    log_message(Severity::warning,
                "SIGHUP ignored: a read-only mount loads no tables");
    return;
  }
  filesystem_->reload();
}

void Daemon::serve() {
  begin_to_save();
  // Not before somebody keeps what comes of it.
  devices_.start_merging();
  Termination termination(termination_actions());
  {
    const SignalThread signals([&](int signal) {
      if (signal == SIGHUP) {
        reload();
      } else {
        termination.asked(signal);
      }
    });
    session_->run();
  }
  devices_.stop_merging();
  filesystem_->shut_down();
  devices_.flush_all();
}

}  // namespace snapfs
