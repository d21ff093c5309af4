/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>

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

void own_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", O_RDONLY);
}

char *vformat_text(const char *format, va_list ap)
{
	char *text;

	return vasprintf(&text, format, ap) < 0 ? NULL : text;
}
