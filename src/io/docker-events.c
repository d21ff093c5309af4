/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event stream. Events are hints, in no order that could be relied on (each engine version has
 * its own): what one names is read again.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Only type and event: the other keys of a filter match names of anything. */
#define FILTERS                                                                     \
	"{\"type\":[\"container\",\"network\"],"                                    \
	"\"event\":[\"create\",\"start\",\"restart\",\"stop\",\"die\",\"destroy\"," \
	"\"rename\",\"update\",\"pause\",\"unpause\",\"connect\",\"disconnect\","   \
	"\"remove\"]}"
/* After a line that cannot be read, whatever it said is looked for. */
#define BAD_LINE_RESYNC_US 1000000ULL

static void touch_network(struct docker *d, const char *id)
{
	struct object *o = docker_object(d, OBJECT_NETWORK, id);

	if (o)
		docker_touch(d, o);
}

static void touch_container(struct docker *d, const char *id)
{
	struct object *o = docker_object(d, OBJECT_CONTAINER, id);

	if (o)
		docker_touch(d, o);
}

/* Swarm's endpoints on this bridge come without any event of their own. */
static void touch_gwbridge(struct docker *d)
{
	vec_foreach (n, &d->snapshot.networks)
		if (docker_network_is_gwbridge(n))
			touch_network(d, n->id);
}

static void drop(struct docker *d, enum object_kind kind, const char *id)
{
	struct object *o = docker_object(d, kind, id);

	if (!o)
		return;
	o->event_us = docker_now(d);
	docker_dropped(d, o);
}

static void revive_network(struct docker *d, const char *id)
{
	struct object *o = docker_object(d, OBJECT_NETWORK, id);

	if (o)
		o->gone = false;
}

static void on_container_event(struct docker *d, const struct docker_event *e)
{
	if (strcmp(e->action, "destroy") == 0) {
		drop(d, OBJECT_CONTAINER, e->id);
		return;
	}
	touch_container(d, e->id);
	if (strcmp(e->action, "start") == 0)
		touch_gwbridge(d);
}

static void on_network_event(struct docker *d, const struct docker_event *e)
{
	const struct network *n;

	if (!*e->id)
		return;
	if (strcmp(e->action, "destroy") == 0 || strcmp(e->action, "remove") == 0) {
		drop(d, OBJECT_NETWORK, e->id);
		return;
	}
	/* A swarm's network comes back under its ID with the next task on this host. */
	if (strcmp(e->action, "create") == 0)
		revive_network(d, e->id);
	n = snapshot_find_network(&d->snapshot, e->id);
	/* A network never changes but for its members, and only some networks' are of use. */
	if (!n || docker_network_matters(n))
		touch_network(d, e->id);
	if (*e->container)
		touch_container(d, e->container);
}

static void on_bad_line(struct docker *d, const char *why)
{
	if (d->n_bad_lines++ == 0)
		log_warning("The Docker engine has sent an event that cannot be read (%s), reading "
			    "everything again.",
			    why);
	docker_sync_soon(d, BAD_LINE_RESYNC_US);
}

static void on_line(void *userdata, const char *line, size_t length)
{
	struct docker *d = userdata;
	struct docker_event e;
	const char *why;
	int r;

	/* RFC 7464: each text begins with a record separator. */
	while (length && (*line == 0x1e || *line == ' ' || *line == '\r')) {
		line++;
		length--;
	}
	if (!length)
		return;
	r = docker_json_event(line, length, &e, &why);
	if (r < 0) {
		on_bad_line(d, r == -ENOMEM ? "out of memory" : why);
		return;
	}
	d->snapshot.engine.events++;
	d->clock++;
	if (e.type == DOCKER_EVENT_CONTAINER) {
		d->snapshot.engine.container_events++;
		on_container_event(d, &e);
	} else if (e.type == DOCKER_EVENT_NETWORK) {
		d->snapshot.engine.network_events++;
		on_network_event(d, &e);
	}
	docker_pump(d);
}

static void on_open(void *userdata)
{
	struct docker *d = userdata;

	d->phase = DOCKER_SYNCING;
	d->n_bad_lines = 0;
	docker_sync_start(d);
}

static void on_end(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	char what[320], why[400];

	docker_describe(answer, what, sizeof(what));
	if (answer->error == -E2BIG)
		(void)snprintf(why, sizeof(why), "a line of the event stream is too long");
	/* Up to 28 the stream is cut, from 29 on it ends properly: the engine stops. */
	else if (answer->error == -ECONNRESET || (answer->error == 0 && answer->status == 200))
		(void)snprintf(why, sizeof(why), "it has closed the event stream");
	else
		(void)snprintf(why, sizeof(why), "GET /events: %s", what);
	docker_disconnect(d, answer->error < 0 ? answer->error : -ECONNRESET, why);
}

static void encode(const char *text, char *ret, size_t size)
{
	size_t n = 0;

	for (; *text && n + 4 < size; text++)
		if (isalnum((unsigned char)*text))
			ret[n++] = *text;
		else
			n += (size_t)snprintf(ret + n, size - n, "%%%02X", (unsigned char)*text);
	ret[n] = '\0';
}

int docker_subscribe(struct docker *d)
{
	int64_t since = d->engine_date ? d->engine_date : (int64_t)time(NULL);
	char filters[600], path[700];

	d->phase = DOCKER_SUBSCRIBING;
	/* The engine answers before it subscribes: what happens in between is replayed by asking
	 * for the time before. The clock of the greeting is its own, and in whole seconds. */
	encode(FILTERS, filters, sizeof(filters));
	(void)snprintf(path, sizeof(path), "/v%s/events?since=%lld&filters=%s",
		       d->snapshot.engine.api, (long long)since - 1, filters);
	return curl_request_new(d->curl,
				&(struct curl_request_config){
					.path = path,
					.on_line = on_line,
					.on_open = on_open,
					.on_done = on_end,
					.userdata = d,
				},
				&d->stream);
}
