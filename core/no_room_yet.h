// SPDX-License-Identifier: MIT
//
// "Not now": a write found no room in a store whose table says to wait for it.
// It is thrown, not returned, so that unwinding gives back everything that the
// write holds (chunks, reservations, passes) in all the layers between the
// store and whoever can park the request. Part of the write may have been
// carried out; it is to be tried again as a whole.
//
// Who cannot wait treats it as the error that it also is, Errc::store_full.
#pragma once

#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "core/admission.h"
#include "core/error.h"

namespace snapfs {

class NoRoomYet : public std::system_error {
 public:
  NoRoomYet(const std::string& device, std::shared_ptr<Admission> gate)
      : std::system_error(Errc::store_full, device), gate_(std::move(gate)) {}

  // Opens when it is worth trying again. Being inside means nothing.
  const std::shared_ptr<Admission>& gate() const { return gate_; }

 private:
  std::shared_ptr<Admission> gate_;
};

}  // namespace snapfs
