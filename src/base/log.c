/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include "base/strtab.h"

#include <stdarg.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_STDERR_PREFIXED,
	LOG_TO_JOURNAL,
};

static int max_level = LOG_INFO;
static enum log_target target = LOG_TO_STDERR;

/* systemd.exec(5): whatever a service starts inherits the variable, but may write elsewhere. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	(void)snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, here) == 0;
}

void log_setup(void)
{
	if (isatty(STDERR_FILENO))
		target = LOG_TO_STDERR;
	else if (stderr_is_journal())
		target = LOG_TO_JOURNAL;
	else
		target = LOG_TO_STDERR_PREFIXED;
}

void log_set_level(int level)
{
	max_level = level;
}

int log_get_level(void)
{
	return max_level;
}

int log_level_from_string(const char *text)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "err", LOG_ERR },       { "error", LOG_ERR }, { "warning", LOG_WARNING },
		{ "notice", LOG_NOTICE }, { "info", LOG_INFO }, { "debug", LOG_DEBUG },
	};

	for (size_t i = 0; i < N_ELEMENTS(levels); i++)
		if (strcmp(levels[i].name, text) == 0)
			return levels[i].level;
	return -EINVAL;
}

int log_full(int level, int error, const char *format, ...)
{
	va_list ap;
	char text[2048];
	int saved = errno;

	error = error < 0 ? -error : error;
	if (level > max_level)
		return -error;

	errno = error; /* for %m */
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);

	/* Names come from others: one message stays one line, and no terminal control gets out. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';

	if (target == LOG_TO_JOURNAL) {
		if (error)
			(void)sd_journal_send("PRIORITY=%d", level, "ERRNO=%d", error, "MESSAGE=%s",
					      text, NULL);
		else
			(void)sd_journal_send("PRIORITY=%d", level, "MESSAGE=%s", text, NULL);
	} else if (target == LOG_TO_STDERR_PREFIXED) {
		(void)fprintf(stderr, "<%d>%s\n", level, text);
	} else {
		(void)fprintf(stderr, "%s\n", text);
	}
	errno = saved;
	return -error;
}
