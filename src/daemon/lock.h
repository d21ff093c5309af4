/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* One daemon per network namespace. */
#include <sys/types.h>

/*
 * Holds the namespace's lock as long as the returned fd is open. -EADDRINUSE: another daemon has
 * it, *ret_pid is its PID (0 if it cannot be told).
 */
int lock_namespace(pid_t *ret_pid);
