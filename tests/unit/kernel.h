/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* For tests on the real kernel, in a network namespace that ends with the process. */
#include "base/log.h"
#include "unit/cmocka.h"

#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

/* Without the right to make one, the tests are skipped. */
static inline bool enter_namespace(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return true;
	print_message("no network namespace: %s\n", strerror(errno));
	return false;
}

_printf_(1, 2) static inline void run(const char *format, ...)
{
	char command[1024];
	va_list ap;
	int r;

	va_start(ap, format);
	r = vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	assert_true(r > 0 && (size_t)r < sizeof(command));
	r = system(command);
	if (r != 0)
		fail_msg("\"%s\" returned %d", command, WEXITSTATUS(r));
}

static inline uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Handles what has arrived and what arrives within the time. */
static inline void spin_event(sd_event *event, uint64_t us)
{
	const uint64_t end = now_us() + us;

	for (uint64_t now = now_us(); now < end; now = now_us())
		assert_true(sd_event_run(event, MIN_OF(end - now, 10000)) >= 0);
}

/* Handles events until the condition holds. */
#define expect_event(event, patience_us, condition)                   \
	do {                                                          \
		uint64_t end_ = now_us() + (patience_us);             \
                                                                      \
		while (!(condition)) {                                \
			if (now_us() > end_)                          \
				fail_msg("never: %s", #condition);    \
			assert_true(sd_event_run(event, 10000) >= 0); \
		}                                                     \
	} while (0)
