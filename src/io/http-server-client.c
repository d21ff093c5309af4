/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "http-server-internal.h"

#include <errno.h>
#include <sys/socket.h>

#define ACCURACY_US UINT64_C(1000000)

static uint64_t now(const struct http_clients *c)
{
	uint64_t now_us = 0;

	(void)sd_event_now(sd_event_source_get_event(c->timer), CLOCK_MONOTONIC, &now_us);
	return now_us;
}

static void arm(struct http_clients *c)
{
	const struct http_client *first = TAILQ_FIRST(&c->queue);

	if (first)
		(void)sd_event_source_set_time(c->timer, first->since_us + c->limit_us);
	(void)sd_event_source_set_enabled(c->timer, first ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct http_clients *c = userdata;
	struct http_client *first;

	(void)source;
	(void)time_us;
	while ((first = TAILQ_FIRST(&c->queue)) && first->since_us + c->limit_us <= now(c)) {
		/* libmicrohttpd finds it at its end, and closes it. */
		(void)shutdown(first->fd, SHUT_RDWR);
		http_client_rest(first);
	}
	arm(c);
	return 0;
}

int http_clients_init(struct http_clients *c, sd_event *event, unsigned limit_s)
{
	int r;

	TAILQ_INIT(&c->queue);
	c->limit_us = limit_s * UINT64_C(1000000);
	r = sd_event_add_time(event, &c->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_time, c);
	return r < 0 ? r : sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

void http_clients_done(struct http_clients *c)
{
	c->timer = sd_event_source_disable_unref(c->timer);
}

struct http_client *http_client_new(struct http_clients *clients, int fd)
{
	struct http_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->clients = clients;
	c->fd = fd;
	http_client_hurry(c);
	return c;
}

void http_client_free(struct http_client *c)
{
	http_client_rest(c);
	free(c);
}

void http_client_hurry(struct http_client *c)
{
	if (!c)
		return;
	http_client_rest(c);
	c->since_us = now(c->clients);
	TAILQ_INSERT_TAIL(&c->clients->queue, c, list);
	if (TAILQ_FIRST(&c->clients->queue) == c)
		arm(c->clients);
}

void http_client_rest(struct http_client *c)
{
	if (!c || c->since_us == 0)
		return;
	TAILQ_REMOVE(&c->clients->queue, c, list);
	c->since_us = 0;
}
