// SPDX-License-Identifier: MIT
#include "config/space_policy.h"

#include "config/messages.h"
#include "config/table_keys.h"

namespace snapfs {
namespace {

WhenFull::Grow read_grow(const Field& field) {
  if (field.value().kind != YamlNode::Kind::map)
    field.refuse("a map of \"step\" and \"max\"");
  MapReader map(field.value(), "when_full.grow.", kGrowKeys);
  WhenFull::Grow grow;
  for (const char* key : {"step", "max"}) {
    const Field* size = map.find(key);
    if (size == nullptr)
      fail(field.place(), quote(field.path() + "." + key) + " is missing");
    (key[0] == 's' ? grow.step_bytes : grow.max_bytes) = size->bytes();
  }
  return grow;
}

}  // namespace

WhenFull read_when_full(const Field& field) {
  if (field.value().kind != YamlNode::Kind::map)
    field.refuse("a map of \"grow\", \"wait\" and \"refuse\"");
  MapReader map(field.value(), "when_full.", kWhenFullKeys);
  if (map.fields().empty())
    fail(field.place(), "\"when_full\" says nothing; leave it out");
  WhenFull result;
  if (const Field* grow = map.find("grow")) result.grow = read_grow(*grow);
  if (const Field* wait = map.find("wait")) result.wait = wait->patience();
  if (const Field* refuse = map.find("refuse")) {
    static constexpr std::string_view kWords[] = {"origin"};
    refuse->choice(kWords);
    result.refuse_origin = true;
  }
  return result;
}

std::vector<unsigned> read_thresholds(const Field& field) {
  if (field.value().kind != YamlNode::Kind::list)
    field.refuse("a list of percentages");
  std::vector<unsigned> result;
  for (const YamlNode& item : field.value().children) {
    const unsigned percent = Field(field.path(), item, item).percent();
    if (!result.empty() && percent <= result.back())
      fail(item.place, quote(field.path()) + " must be ascending");
    result.push_back(percent);
  }
  return result;
}

}  // namespace snapfs
