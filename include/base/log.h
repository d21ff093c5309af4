/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Logging, for io, daemon and ctl only (model, wire and the rest of base stay silent).
 * Goes to the journal when stderr is connected to it ($JOURNAL_STREAM), else to stderr
 * with sd-daemon "<N>" priority prefixes, or without them on a terminal.
 *
 * log_x_errno(error, ...) takes an errno of either sign, prints it for %m and returns -errno.
 */
#include "base/own.h"

#include <syslog.h>

void log_setup(void);
/* LOG_ERR..LOG_DEBUG: messages above this level are dropped. Default LOG_INFO. */
void log_set_level(int level);
int log_get_level(void);
/* "err|error|warning|notice|info|debug" -> LOG_x, or -EINVAL. */
int log_level_from_string(const char *text);

_printf_(3, 4) int log_full(int level, int error, const char *format, ...);

#define log_error(...) ((void)log_full(LOG_ERR, 0, __VA_ARGS__))
#define log_warning(...) ((void)log_full(LOG_WARNING, 0, __VA_ARGS__))
#define log_notice(...) ((void)log_full(LOG_NOTICE, 0, __VA_ARGS__))
#define log_info(...) ((void)log_full(LOG_INFO, 0, __VA_ARGS__))
#define log_debug(...) ((void)log_full(LOG_DEBUG, 0, __VA_ARGS__))

#define log_error_errno(e, ...) log_full(LOG_ERR, e, __VA_ARGS__)
#define log_warning_errno(e, ...) log_full(LOG_WARNING, e, __VA_ARGS__)
#define log_notice_errno(e, ...) log_full(LOG_NOTICE, e, __VA_ARGS__)
#define log_debug_errno(e, ...) log_full(LOG_DEBUG, e, __VA_ARGS__)
#define log_oom() log_full(LOG_ERR, ENOMEM, "Out of memory")
