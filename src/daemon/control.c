/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/control.h"

#include "base/log.h"
#include "io/http-server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define JSON "application/json"
#define TEXT "text/plain; charset=utf-8"

struct control {
	struct control_callbacks callbacks;
	void *userdata;
	struct http_server *server;
};

static void on_status(void *userdata, struct http_request *request)
{
	struct control *c = userdata;
	char *body = NULL;
	int r;

	r = c->callbacks.status_json(c->userdata, &body);
	if (r < 0)
		http_reply_error(request, 500, strerror(-r), "");
	else
		http_reply(request, 200, JSON, body);
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

static const struct http_route routes[] = {
	{ "GET", "/v1/status", on_status },  { "GET", "/v1/plan", on_plan },
	{ "GET", "/healthz", on_healthz },   { "POST", "/v1/sync", on_sync },
	{ "POST", "/v1/reload", on_reload },
};

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
	free(c);
	return NULL;
}
