// SPDX-License-Identifier: MIT
//
// The one place that includes libfuse.
#pragma once

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif

#include <fuse_lowlevel.h>
