/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/control.h"

#include "base/log.h"
#include "io/http-server.h"
#include "process.h"
#include "wire/api-events.h"
#include "wire/api-json.h"
#include "wire/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"
#define JSON_LINES "application/json-lines"
#define MAX_FOLLOWERS 16

/* Who reads /v1/events. */
struct follower {
	struct control *control;
	struct http_stream *stream;
	uint64_t lost; /* lines that found no room, and of which it does not know yet */
	LIST_ENTRY(follower) list;
};

struct control {
	struct control_callbacks callbacks;
	void *userdata;
	sd_event *event;
	struct http_server *server;
	struct http_server *metrics; /* by TCP; NULL: not asked for, or not to be had */
	char *metrics_address;       /* of the open one */
	struct problems problems;
	LIST_HEAD(, follower) followers;
	unsigned n_followers;
	struct api_picture *picture; /* what the followers know; NULL: there are none */
};

static int render_json(const struct status *s, void *ret)
{
	return api_json_status(s, ret);
}

static void on_status(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	char *body = NULL;
	int r;

	r = c->callbacks.status(c->userdata, true, render_json, &body);
	if (r < 0)
		http_reply_error(request, 500, strerror(-r), "");
	else
		http_reply(request, 200, JSON, body);
}

static int render_metrics(const struct status *s, void *ret)
{
	struct status with_process = *s;
	struct status_process process;

	process_read(&process);
	with_process.process = &process;
	return metrics_text(&with_process, ret);
}

static void on_metrics(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	char *body = NULL;
	int r;

	r = c->callbacks.status(c->userdata, true, render_metrics, &body);
	if (r < 0)
		http_reply_error(request, 500, strerror(-r), "");
	else
		http_reply(request, 200, METRICS_CONTENT_TYPE, body);
}

static void on_plan(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	char *body = NULL;
	int r;

	r = c->callbacks.plan_text(c->userdata, &body);
	if (r < 0)
		http_reply_error(request, 500, strerror(-r), "");
	else
		http_reply(request, 200, TEXT, body);
}

static void on_healthz(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	bool healthy = c->callbacks.healthy(c->userdata);

	http_reply(request, healthy ? 200 : 503, TEXT, strdup(healthy ? "ok\n" : "degraded\n"));
}

static void on_synced(void *data, int error)
{
	struct http_request *request = data;
	char message[128];

	snprintf(message, sizeof(message), "the synchronisation failed: %s", strerror(-error));
	if (error < 0)
		http_reply_error(request, 503, message,
				 "see \"ipv6natctl status\" and the daemon's log");
	else
		http_reply(request, 200, JSON, strdup("{}"));
}

static void on_sync(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	int r;

	r = c->callbacks.sync(c->userdata, on_synced, request);
	if (r < 0)
		on_synced(request, r);
}

static void on_reload(void *userdata, struct http_request *request)
{
	_cleanup_(freep) char *error = NULL;
	struct control *c = userdata;
	int r;

	r = c->callbacks.reload(c->userdata, &error);
	if (r < 0)
		http_reply_error(request, 400, error ? error : strerror(-r),
				 "the configuration in force is unchanged");
	else
		http_reply(request, 200, JSON, strdup("{}"));
}

/* ---------------------------------------------------------------- events */

static uint64_t wall_clock_us(void)
{
	struct timespec t = {};

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What there was no room for is counted, and told as soon as there is. */
static void tell_lost(struct follower *f)
{
	_cleanup_(freep) char *line = NULL;

	if (f->lost > 0 && api_events_lost(f->lost, wall_clock_us(), &line) == 0 &&
	    http_stream_write(f->stream, line, strlen(line)))
		f->lost = 0;
}

static void tell(struct follower *f, const char *lines)
{
	const char *end;

	tell_lost(f);
	for (; (end = strchr(lines, '\n')); lines = end + 1)
		if (f->lost > 0 || !http_stream_write(f->stream, lines, (size_t)(end + 1 - lines)))
			f->lost++;
}

static void on_drained(void *userdata)
{
	tell_lost(userdata);
}

static void on_closed(void *userdata)
{
	struct follower *f = userdata;
	struct control *c = f->control;

	LIST_REMOVE(f, list);
	free(f);
	if (--c->n_followers == 0)
		c->picture = api_picture_free(c->picture);
}

static const struct http_stream_callbacks stream_callbacks = { on_drained, on_closed };

static int render_picture(const struct status *s, void *ret)
{
	return api_picture_new(s, ret);
}

static int render_hello(const struct status *s, void *ret)
{
	return api_events_hello(s, wall_clock_us(), ret);
}

static int follow(struct control *c, struct http_request *request)
{
	_cleanup_(freep) struct follower *f = calloc(1, sizeof(*f));
	_cleanup_(freep) char *hello = NULL;
	int r = 0;

	if (!f)
		return -ENOMEM;
	f->control = c;
	if (!c->picture)
		r = c->callbacks.status(c->userdata, false, render_picture, &c->picture);
	if (r >= 0)
		r = c->callbacks.status(c->userdata, false, render_hello, &hello);
	if (r >= 0)
		r = http_reply_stream(request, JSON_LINES, &stream_callbacks, f, &f->stream);
	if (r < 0)
		return r;
	(void)http_stream_write(f->stream, hello, strlen(hello));
	LIST_INSERT_HEAD(&c->followers, f, list);
	c->n_followers++;
	f = NULL;
	return 0;
}

static void on_events(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	int r;

	if (c->n_followers >= MAX_FOLLOWERS) {
		http_reply_error(request, 503, "too many clients follow the events already",
				 "end one of them");
		return;
	}
	r = follow(c, request);
	if (r < 0)
		http_reply_error(request, 500, strerror(-r), "");
	if (c->n_followers == 0)
		c->picture = api_picture_free(c->picture);
}

void control_changed(struct control *c)
{
	struct api_picture *now = NULL;
	_cleanup_(freep) char *lines = NULL;
	struct follower *f;
	int r;

	if (c->n_followers == 0)
		return;
	r = c->callbacks.status(c->userdata, false, render_picture, &now);
	if (r >= 0)
		r = api_events(c->picture, now, wall_clock_us(), &lines);
	if (r < 0) {
		/* The next picture is compared with the old one: nothing is lost. */
		(void)log_error_errno(r, "Cannot tell followers what has changed: %m");
		api_picture_free(now);
		return;
	}
	api_picture_free(c->picture);
	c->picture = now;
	if (lines[0] == '\0')
		return;
	LIST_FOREACH(f, &c->followers, list)
	tell(f, lines);
}

static const struct http_route routes[] = {
	{ "GET", "/v1/status", on_status },  { "GET", "/v1/plan", on_plan },
	{ "GET", "/v1/events", on_events },  { "GET", "/metrics", on_metrics },
	{ "GET", "/healthz", on_healthz },   { "POST", "/v1/sync", on_sync },
	{ "POST", "/v1/reload", on_reload },
};

/* What anybody may see who reaches the port. */
static const struct http_route public_routes[] = {
	{ "GET", "/metrics", on_metrics },
	{ "GET", "/healthz", on_healthz },
};

void control_listen(struct control *c, const char *address)
{
	struct http_server_config config = {
		.address = address,
		.routes = public_routes,
		.n_routes = N_ELEMENTS(public_routes),
	};
	int r;

	if (c->metrics && address && strcmp(c->metrics_address, address) == 0)
		return;
	c->metrics = http_server_free(c->metrics);
	problems_done(&c->problems);
	if (!address)
		return;
	free(c->metrics_address);
	c->metrics_address = strdup(address);
	r = c->metrics_address ? http_server_new(c->event, &config, c, &c->metrics) : -ENOMEM;
	if (r < 0 && problems_add(&c->problems, PROBLEM_METRICS_LISTEN, PROBLEM_WARNING,
				  "free the port, or choose another for Listen= in [Metrics]; then "
				  "ipv6natctl reload",
				  "/metrics cannot be had at %s: %s", address, strerror(-r)) < 0)
		(void)log_oom();
	if (r == 0)
		log_info("/metrics and /healthz are open at %s", address);
}

const struct problems *control_problems(const struct control *c)
{
	return &c->problems;
}

int control_new(sd_event *event, const char *path, const struct control_callbacks *callbacks,
		void *userdata, struct control **ret)
{
	struct http_server_config config = {
		.path = path ? path : CONTROL_DEFAULT_PATH,
		.group = CONTROL_GROUP,
		.routes = routes,
		.n_routes = N_ELEMENTS(routes),
	};
	_cleanup_(control_freep) struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return log_oom();
	c->callbacks = *callbacks;
	c->userdata = userdata;
	c->event = event;
	r = http_server_new(event, &config, c, &c->server);
	if (r < 0)
		return r;
	*ret = steal_ptr(&c);
	return 0;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	http_server_free(c->server);
	http_server_free(c->metrics);
	free(c->metrics_address);
	problems_done(&c->problems);
	api_picture_free(c->picture);
	free(c);
	return NULL;
}
