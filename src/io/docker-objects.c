/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that an event or a list has named, and the requests that read them again: one at a time
 * per object; what is touched while its request is in flight is read once more afterwards, so that
 * a burst of events makes two requests, the first of them at once.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <errno.h>
#include <stdio.h>

/* An inspect of a starting or stopping container blocks: room for many, and networks beside. */
static const unsigned limits[_QUEUE_MAX] = {
	[QUEUE_NETWORKS] = 8,
	[QUEUE_CONTAINERS] = 128,
	[QUEUE_BACKGROUND] = 4,
};

/* What cannot be read now may be soon; what is refused will hardly change by itself. */
#define REFUSED_BACKOFF_MAX_US 60000000ULL

static int object_compare(const void *a, const void *b)
{
	const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->id, y->id);
}

struct object *docker_object(struct docker *d, enum object_kind kind, const char *id)
{
	struct object key = { .kind = kind }, *pkey = &key, *o, **found;
	size_t i;

	(void)snprintf(key.id, sizeof(key.id), "%s", id);
	found = vec_find(&d->objects, &pkey, object_compare);
	if (found)
		return *found;

	o = calloc(1, sizeof(*o));
	if (!o || !vec_add(&d->objects)) {
		free(o);
		log_oom();
		return NULL;
	}
	*o = key;
	o->docker = d;
	o->queue = o->in_flight = QUEUE_NONE;
	for (i = d->objects.n - 1; i > 0 && object_compare(&d->objects.items[i - 1], &o) > 0; i--)
		d->objects.items[i] = d->objects.items[i - 1];
	d->objects.items[i] = o;
	return o;
}

static void dequeue(struct docker *d, struct object *o)
{
	if (o->queue != QUEUE_NONE)
		TAILQ_REMOVE(&d->queues[o->queue], o, entries);
	o->queue = QUEUE_NONE;
}

static void cancel(struct docker *d, struct object *o)
{
	o->request = curl_request_free(o->request);
	if (o->in_flight != QUEUE_NONE)
		d->n_in_flight[o->in_flight]--;
	o->in_flight = QUEUE_NONE;
}

bool docker_object_is_busy(const struct object *o)
{
	return o->again || o->retry_us != 0 || o->queue < QUEUE_BACKGROUND ||
	       o->in_flight < QUEUE_BACKGROUND;
}

void docker_read(struct docker *d, struct object *o, enum object_queue queue)
{
	if (o->gone)
		return;
	if (o->request) {
		o->again = o->again || queue != QUEUE_BACKGROUND;
		return;
	}
	if (o->queue <= queue)
		return;
	dequeue(d, o);
	o->retry_us = 0;
	o->queue = queue;
	TAILQ_INSERT_TAIL(&d->queues[queue], o, entries);
}

static enum object_queue queue_of(const struct object *o)
{
	return o->kind == OBJECT_NETWORK ? QUEUE_NETWORKS : QUEUE_CONTAINERS;
}

void docker_touch(struct docker *d, struct object *o)
{
	uint64_t *event_us = o->request ? &o->next_event_us : &o->event_us;

	if (!*event_us)
		*event_us = docker_now(d);
	o->touched = d->clock;
	docker_read(d, o, queue_of(o));
}

void docker_dropped(struct docker *d, struct object *o)
{
	dequeue(d, o);
	cancel(d, o);
	o->gone = true;
	o->again = false;
	o->retry_us = 0;
	o->refused = NULL;
	o->touched = d->clock;
	d->applying_event_us = o->event_us;
	if (o->kind == OBJECT_NETWORK)
		docker_drop_network(d, o->id);
	else
		docker_drop_container(d, o->id);
	d->applying_event_us = o->event_us = o->next_event_us = 0;
	docker_sync_release(d, o);
}

/* ------------------------------------------------------------------------------- retries */

static int on_retry(sd_event_source *source, uint64_t now_us, void *userdata);

static void arm_retry(struct docker *d)
{
	uint64_t next_us = UINT64_MAX, now_us = docker_now(d);

	vec_foreach (o, &d->objects)
		if ((*o)->retry_us)
			next_us = MIN_OF(next_us, (*o)->retry_us);
	if (next_us != UINT64_MAX)
		(void)docker_arm(d, &d->retry, next_us > now_us ? next_us - now_us : 0, 10000,
				 on_retry, "docker-retry");
}

static int on_retry(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct docker *d = userdata;

	(void)source;
	vec_foreach (o, &d->objects)
		if ((*o)->retry_us && (*o)->retry_us <= now_us)
			docker_read(d, *o, queue_of(*o));
	arm_retry(d);
	docker_pump(d);
	return 0;
}

static void retry_later(struct docker *d, struct object *o, const char *refused, const char *text)
{
	uint64_t max_us = refused ? REFUSED_BACKOFF_MAX_US : BACKOFF_MAX_US;
	bool is_first = o->backoff_us == 0;

	o->backoff_us = is_first ? BACKOFF_MIN_US : MIN_OF(o->backoff_us * 2, max_us);
	o->retry_us = docker_now(d) + o->backoff_us;
	d->snapshot.engine.errors++;
	o->refused = refused;
	/* By now a start has come to its end: what was assumed for it is not known to hold. */
	if (o->kind == OBJECT_NETWORK && o->backoff_us >= BACKOFF_MAX_US)
		docker_forget_starting(d, o->id);
	if (text && is_first)
		log_warning(
			"Cannot read %s %.12s from the Docker engine (%s); keeping what is known "
			"of it, will retry.",
			o->kind == OBJECT_NETWORK ? "network" : "container", o->id, text);
	arm_retry(d);
	docker_update_problems(d);
}

/* ------------------------------------------------------------------------------ requests */

static int apply_answer(struct docker *d, struct object *o, const struct curl_answer *answer,
			const char **ret_why)
{
	int r;

	if (o->kind == OBJECT_NETWORK) {
		struct network n;

		r = docker_json_network(answer->body, answer->length, &n, ret_why);
		if (r < 0)
			return r;
		if (strcmp(n.id, o->id) == 0) {
			docker_apply_network(d, &n);
			return 0;
		}
		network_done(&n);
	} else {
		struct container c;

		r = docker_json_container(answer->body, answer->length, &c, ret_why);
		if (r < 0)
			return r;
		if (strcmp(c.id, o->id) == 0) {
			docker_apply_container(d, &c, o->in_flight == QUEUE_BACKGROUND);
			return 0;
		}
		container_done(&c);
	}
	*ret_why = "it is about something else";
	return -EBADMSG;
}

static int apply(struct docker *d, struct object *o, const struct curl_answer *answer,
		 const char **ret_why)
{
	int r;

	d->applying_event_us = o->event_us;
	r = apply_answer(d, o, answer, ret_why);
	d->applying_event_us = 0;
	if (r == 0) {
		o->event_us = o->next_event_us;
		o->next_event_us = 0;
	}
	return r;
}

/* "404 page not found" is not the engine's word on the object; its own is JSON. */
static bool says_gone(const struct curl_answer *answer)
{
	char message[64];

	if (answer->status != 404)
		return false;
	docker_json_error(answer->body, answer->length, message, sizeof(message));
	return *message != '\0';
}

static void on_read(void *userdata, const struct curl_answer *answer)
{
	struct object *o = userdata;
	struct docker *d = o->docker;
	const char *why = NULL;
	char text[320];
	int r;

	if (answer->error == 0 && says_gone(answer)) {
		d->clock++;
		docker_dropped(d, o);
		docker_pump(d);
		return;
	}
	if (answer->error == 0 && answer->status == 200) {
		d->clock++;
		o->touched = d->clock;
		r = apply(d, o, answer, &why);
		cancel(d, o);
		if (r == 0) {
			bool was_refused = o->refused != NULL;

			o->verified = true;
			o->backoff_us = 0;
			o->refused = NULL;
			if (was_refused)
				docker_update_problems(d);
		} else
			retry_later(d, o, why, why ? why : "out of memory");
	} else {
		docker_describe(answer, text, sizeof(text));
		cancel(d, o);
		/* If it is the engine that goes, the event stream says so. */
		retry_later(d, o, answer->error == -E2BIG ? "the answer is too long" : NULL,
			    answer->error < 0 && answer->error != -E2BIG ? NULL : text);
	}

	if (o->again && !o->retry_us) {
		o->again = false;
		docker_read(d, o, queue_of(o));
	} else
		docker_sync_release(d, o);
	docker_pump(d);
}

static void start(struct docker *d, struct object *o)
{
	enum object_queue queue = o->queue;
	char path[128];
	int r;

	dequeue(d, o);
	o->again = false;
	(void)snprintf(path, sizeof(path),
		       o->kind == OBJECT_NETWORK ? "/v%s/networks/%s" : "/v%s/containers/%s/json",
		       d->snapshot.engine.api, o->id);
	r = curl_request_new(d->curl,
			     &(struct curl_request_config){
				     .path = path,
				     .on_done = on_read,
				     .userdata = o,
			     },
			     &o->request);
	if (r < 0) {
		retry_later(d, o, NULL, strerror(-r));
		docker_sync_release(d, o);
		return;
	}
	o->sent_us = docker_now(d);
	o->in_flight = queue;
	d->n_in_flight[queue]++;
}

void docker_pump(struct docker *d)
{
	if (d->phase < DOCKER_SYNCING)
		return;
	for (int q = 0; q < _QUEUE_MAX; q++)
		while (!TAILQ_EMPTY(&d->queues[q]) && d->n_in_flight[q] < limits[q])
			start(d, TAILQ_FIRST(&d->queues[q]));
	/* Small changes are reported together, when the last of them is known. */
	if (TAILQ_EMPTY(&d->queues[QUEUE_BACKGROUND]) && d->n_in_flight[QUEUE_BACKGROUND] == 0)
		docker_changed_flush(d);
}

/* ---------------------------------------------------------------------------------- life */

void docker_cancel_objects(struct docker *d)
{
	vec_foreach (p, &d->objects) {
		struct object *o = *p;

		/* What it would have told is still to be asked. */
		o->again = docker_object_is_busy(o);
		dequeue(d, o);
		cancel(d, o);
		o->retry_us = o->backoff_us = 0;
		o->event_us = o->next_event_us = 0;
		o->refused = NULL;
		o->verified = o->awaited = o->gate = false;
	}
	if (d->retry)
		(void)sd_event_source_set_enabled(d->retry, SD_EVENT_OFF);
}

static bool is_known(const struct docker *d, const struct object *o)
{
	return o->kind == OBJECT_NETWORK ? snapshot_find_network(&d->snapshot, o->id) != NULL
					 : snapshot_find_container(&d->snapshot, o->id) != NULL;
}

/* Frees what neither exists nor is asked for; the list that could name it is past. */
void docker_collect_objects(struct docker *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->objects.n; i++) {
		struct object *o = d->objects.items[i];

		if (o->request || o->queue != QUEUE_NONE || o->retry_us || o->again ||
		    is_known(d, o))
			d->objects.items[n++] = o;
		else
			free(o);
	}
	d->objects.n = n;
}

void docker_free_objects(struct docker *d)
{
	docker_cancel_objects(d);
	vec_foreach (o, &d->objects)
		free(*o);
	vec_done(&d->objects);
	sd_event_source_disable_unref(d->retry);
	d->retry = NULL;
}
