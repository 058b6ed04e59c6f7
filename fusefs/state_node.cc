// SPDX-License-Identifier: MIT
#include "fusefs/state_node.h"

#include <cerrno>
#include <charconv>
#include <span>
#include <sstream>
#include <string_view>

#include "core/error.h"
#include "fusefs/control_job.h"
#include "fusefs/text_node.h"

namespace snapfs {
namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

class StateHandle : public Handle {
 public:
  StateHandle(std::shared_ptr<StateNode> node, std::string text)
      : node_(std::move(node)), text_(std::move(text)) {}

  void read(Reply& reply, uint64_t offset, std::size_t size, int) override {
    reply_text(reply, text_, offset, size);
  }

  // Each write is a command of its own, wherever it goes.
  void write(Reply& reply, uint64_t, std::span<const std::byte> data,
             int) override {
    std::string text(reinterpret_cast<const char*>(data.data()), data.size());
    // This waits for nothing, and what it ends may be what others wait for.
    if (trimmed(text) == "abort") {
      node_->command(text);
      return reply.written(text.size());
    }
    run_control(node_->context(), reply, [node = node_, text](Reply& answer) {
      node->command(text);
      answer.written(text.size());
    });
  }

 private:
  const std::shared_ptr<StateNode> node_;
  const std::string text_;
};

// What a user wrote may be anything, and the errors file is read by people.
std::string quoted(const std::string& text) {
  constexpr std::size_t kEnough = 32;
  std::string result = "\"";
  for (char c : text.substr(0, kEnough)) {
    result += c >= ' ' && c <= '~' ? c : '?';
  }
  return result + (text.size() > kEnough ? "...\"" : "\"");
}

uint64_t number_in(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw std::system_error(EINVAL, std::generic_category(),
                          "not a number of bytes: " + quoted(text));
}

}  // namespace

struct stat StateNode::attributes() const {
  return context_.attributes(inode(), S_IFREG | 0600, text().size());
}

std::unique_ptr<Handle> StateNode::open(const Caller&, int flags) {
  if (!opens_for_writing(flags)) return std::make_unique<TextHandle>(text());
  return std::make_unique<StateHandle>(
      std::static_pointer_cast<StateNode>(shared_from_this()), text());
}

// Shells empty the file before they write; mode, owner and times are accepted
// and not kept.
void StateNode::set_attributes(const struct stat& wanted, int what, Handle*,
                               const Caller&) {
  if ((what & FUSE_SET_ATTR_SIZE) != 0 && wanted.st_size != 0) refuse(EPERM);
}

void StateNode::command(const std::string& text) {
  const std::string word = trimmed(text);
  if (word.empty()) return;
  try {
    carry_out(word);
  } catch (const std::exception& error) {
    const std::string& name = device_node_->device().name();
    context_.events.add_error("state/" + name + ": " + error.what());
    context_.events.on_event({EventKind::refuse, name, error.what()});
    throw;
  }
}

void StateNode::carry_out(const std::string& word) {
  Device& device = device_node_->device();
  const std::string& name = device.name();
  // Another device may have got the name since this file was opened.
  if (devices_.find(name).get() != &device) {
    throw std::system_error(Errc::no_such_device, name + " was removed");
  }
  if (word == "suspend") return devices_.suspend(name);
  if (word == "resume") return devices_.resume(name);
  if (word == "abort") return abort();
  std::istringstream words(word);
  std::string verb;
  words >> verb;
  if (verb == "revert") return revert(name, words);
  if (verb == "revert-rate") {
    std::string rate;
    words >> rate;
    return devices_.set_revert_rate(name, number_in(rate));
  }
  throw std::system_error(
      EINVAL, std::generic_category(),
      "unknown command " + quoted(word) + " (suspend, resume, abort, revert)");
}

void StateNode::revert(const std::string& name, std::istream& words) {
  constexpr std::string_view kRate = "rate=";
  DeviceSet::RevertOptions options;
  for (std::string option; words >> option;) {
    if (option == "force") {
      options.force = true;
    } else if (option.starts_with(kRate)) {
      options.rate = number_in(option.substr(kRate.size()));
    } else {
      throw std::system_error(EINVAL, std::generic_category(),
                              "unknown option " + quoted(option) +
                                  " of revert (force, rate=BYTES)");
    }
  }
  devices_.revert(name, options);
}

void StateNode::abort() {
  Device& device = device_node_->device();
  if (device.state() != DeviceState::suspended &&
      device_node_->waiting_for_room() == 0) {
    throw std::system_error(
        EINVAL, std::generic_category(),
        device.name() +
            " is not suspended, and none of its requests waits for room");
  }
  const std::size_t count = device_node_->abort_parked();
  devices_.wake_waiting();
  context_.events.on_event(
      {EventKind::error, device.name(),
       std::to_string(count) + " waiting requests were aborted"});
}

}  // namespace snapfs
