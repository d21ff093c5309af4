/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
#include "base/status.h"

/* What the kernel says of this process; zero where it says nothing. */
void process_read(struct status_process *ret);
