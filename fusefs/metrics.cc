// SPDX-License-Identifier: MIT
#include "fusefs/metrics.h"

#include <map>
#include <utility>

namespace snapfs {
namespace {

// The samples of one metric have to stand together.
class Metrics {
 public:
  void add(const Measure& measure, const std::string& labels) {
    std::string& samples = samples_.try_emplace(measure.key, measure.help, "")
                               .first->second.second;
    samples += std::string("snapfs_") + measure.key + "{" + labels + "} " +
               std::to_string(measure.value) + "\n";
  }

  std::string text() const {
    std::string text;
    for (const auto& [key, metric] : samples_) {
      text += "# HELP snapfs_" + key + " " + metric.first + "\n# TYPE snapfs_" +
              key + " gauge\n" + metric.second;
    }
    return text;
  }

 private:
  std::map<std::string, std::pair<std::string, std::string>> samples_;
};

// The word that names the target in "0 LENGTH TARGET ...".
std::string target_word(const Target& target) {
  const std::string line = target.status_line();
  const std::size_t begin = line.find(' ', line.find(' ') + 1) + 1;
  return line.substr(begin, line.find(' ', begin) - begin);
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::vector<Measure> measures_of(Device& device) {
  std::vector<Measure> measures;
  std::shared_ptr<Target> target = device.live();
  if (target != nullptr) {
    measures = target->measures();
    measures.push_back({"size_bytes", "Length of the device", target->size()});
  }
  measures.push_back({"waiting_requests", "Requests that wait at a device",
                      device.admission().parked_count()});
  measures.push_back(
      {"open_files", "How often a device is open", device.open_count()});
  return measures;
}

// Names of devices hold nothing that would have to be escaped.
std::string metrics_text(const std::vector<std::shared_ptr<Device>>& devices) {
  Metrics metrics;
  for (const std::shared_ptr<Device>& device : devices) {
    const std::string name = "device=\"" + device->name() + "\"";
    std::shared_ptr<Target> target = device->live();
    metrics.add({"state", "1 for the state that a device is in", 1},
                name + ",target=\"" + (target ? target_word(*target) : "") +
                    "\",state=\"" + first_line(device->state_text()) + "\"");
    for (const Measure& measure : measures_of(*device))
      metrics.add(measure, name);
  }
  return metrics.text();
}

}  // namespace snapfs
