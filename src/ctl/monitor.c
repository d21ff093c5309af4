/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes as they happen, until one side goes. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void event_donep(struct api_event *e)
{
	api_event_done(e);
}

/* The time here of an RFC 3339 time in UTC; what is none is shown as it is. */
static void format_time(const char *utc, char *buffer, size_t size)
{
	struct tm tm = { 0 };
	const char *end = strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t t;

	snprintf(buffer, size, "%s", utc);
	if (!end || (*end != '.' && *end != 'Z'))
		return;
	t = timegm(&tm);
	if (localtime_r(&t, &tm))
		(void)strftime(buffer, size, "%F %T", &tm);
}

static const char *color_of(const struct api_event *e)
{
	if (strcmp(e->kind, "lost") == 0)
		return CTL_YELLOW;
	if (strcmp(e->kind, "problem") != 0)
		return NULL;
	if (strcmp(e->change, "removed") == 0)
		return CTL_GREEN;
	return strcmp(e->severity, "error") == 0    ? CTL_RED
	       : strcmp(e->severity, "notice") == 0 ? NULL
						    : CTL_YELLOW;
}

static void print_event(const struct ctl_options *o, const struct api_event *e)
{
	_cleanup_(freep) char *message = ctl_escape(e->message, "");
	_cleanup_(freep) char *when = NULL;
	const char *color = o->color ? color_of(e) : NULL;
	char buffer[64];

	format_time(e->time, buffer, sizeof(buffer));
	when = ctl_escape(buffer, "");
	printf("%s %s%s%s\n", when ? when : "", color ? color : "", message ? message : "",
	       color ? CTL_NORMAL : "");
}

static int on_line(void *userdata, const char *line, size_t n)
{
	_cleanup_(event_donep) struct api_event e = { 0 };
	const struct ctl_options *o = userdata;
	char error[API_ERROR_TEXT];

	if (n == 0) /* a sign of life */
		return CTL_OK;
	if (api_json_event_read(line, n, &e, error) < 0) {
		_cleanup_(freep) char *safe = ctl_escape(error, "");

		ctl_error("are ipv6natctl and ipv6natd of the same version?",
			  "the daemon's line cannot be understood: %s", safe ? safe : "");
		return CTL_FAILED;
	}
	if (o->json)
		puts(line);
	else
		print_event(o, &e);
	/* main() says what went wrong */
	return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

int monitor_run(const struct ctl_options *o)
{
	return client_follow(o, "/v1/events", on_line, (void *)(uintptr_t)o);
}
