// SPDX-License-Identifier: MIT
//
// The life of a mount: SPEC, devices, file system, session, and back. Made by
// the process that serves it, after its last fork. start() and serve() belong
// to one thread.
#pragma once

#include <optional>
#include <string>

#include "config/table_reader.h"
#include "core/device_set.h"
#include "fusefs/created_files.h"
#include "fusefs/event_log.h"
#include "fusefs/filesystem.h"
#include "fusefs/host_devices.h"
#include "fusefs/mount_options.h"
#include "fusefs/mount_record.h"
#include "fusefs/session.h"
#include "fusefs/spec_reload.h"
#include "fusefs/spec_writer.h"
#include "fusefs/termination.h"
#include "fusefs/write_back.h"

namespace snapfs {

class Daemon {
 public:
  // `mount_point`: absolute and canonical.
  // `write_back` may be null, see Filesystem::Options.
  Daemon(MountOptions options, std::string mount_point,
         WriteBackProcess* write_back);
  // What start() did and keep() did not confirm is undone.
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Everything that can fail, in this order: reads SPEC, opens, checks and
  // loads the devices, mounts, agrees with the kernel. Throws TableError,
  // std::system_error and other std::exceptions.
  void start();

  // From here on the mount counts: files that were made for it stay.
  void keep() { created_.keep(); }

  // Answers requests and signals until the mount has ended, then makes
  // everything durable. Throws std::system_error.
  void serve();

 private:
  void load(const Spec& spec);
  void load(std::vector<Table> tables);
  void begin_to_save();
  void reload();
  void make_filesystem(const std::string& base_dir);
  void mount(const std::string& spec_path);
  void note_mount();
  void name_users(const std::vector<std::string>& names);
  Termination::Actions termination_actions();

  const MountOptions options_;
  const std::string mount_point_;
  WriteBackProcess* const write_back_;

  // Destroyed in the opposite order: the note of the mount goes last, so that
  // whoever waits for a device can name this process until it has ended.
  std::optional<MountRecord> record_;
  EventLog events_;
  HostDevices host_;
  CreatedFiles created_;
  // Made when SPEC is read; used by the devices and the file system.
  std::optional<SpecWriter> writer_;
  std::optional<SpecReload> reload_;
  DeviceSet devices_;
  std::optional<Filesystem> filesystem_;
  std::optional<Session> session_;
};

}  // namespace snapfs
