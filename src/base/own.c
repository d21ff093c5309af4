/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"

#include <errno.h>

int close_fd(int fd)
{
	if (fd >= 0) {
		int saved = errno;

		/* EINTR from close() means closed on Linux: never retry. */
		(void)close(fd);
		errno = saved;
	}
	return -1;
}
