/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Ownership helpers: cleanup attributes and their spelled-out escapes.
 *
 *   _cleanup_(freep) char *s = strdup(x);
 *   ...
 *   *ret = steal_ptr(&s);
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _const_ __attribute__((const))
#define _pure_ __attribute__((pure))

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))

/* Takes the value out of an owning variable and leaves the empty value. */
#define steal_ptr(pp)                     \
	({                                \
		typeof(*(pp)) p_ = *(pp); \
		*(pp) = NULL;             \
		p_;                       \
	})

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* Closes an fd, keeps errno, returns -1 so that "fd = close_fd(fd)" reads well. */
int close_fd(int fd);

/*
 * Where standard input, output or error is closed, the next open() would take its place, and what is
 * printed would go there. After this writing to it fails, as it did. For the beginning of main().
 */
void own_standard_fds(void);

static inline void freep(void *pp)
{
	free(*(void **)pp);
}

static inline void closep(const int *fd)
{
	(void)close_fd(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* A new string; NULL without memory, where vasprintf() leaves anything. */
_printf_(1, 0) char *vformat_text(const char *format, va_list ap);

/* Defines FUNCp() for _cleanup_() from a FUNC() that accepts NULL. */
#define DEFINE_CLEANUP(type, func)           \
	static inline void func##p(type *pp) \
	{                                    \
		if (*pp)                     \
			func(*pp);           \
	}
