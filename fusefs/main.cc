// SPDX-License-Identifier: MIT
#include "fusefs/program.h"

int main(int argc, char** argv) { return snapfs::run_program(argc, argv); }
