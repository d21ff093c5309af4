/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The full resync: both lists, then whatever they leave open is read object by object. The same at
 * the start, after a reconnect, periodically (the engine drops events for slow readers without a
 * word) and when somebody asks.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* An inspect may block as long as its container starts. Its facts come when they come. */
#define AWAIT_US 2000000ULL

static void free_lists(struct sync *s)
{
	s->networks_request = curl_request_free(s->networks_request);
	s->containers_request = curl_request_free(s->containers_request);
	networks_done(&s->networks);
	containers_done(&s->containers);
	s->have_networks = s->have_containers = false;
}

static void call_waiters(struct waiters *waiters, int error)
{
	struct waiters w = *waiters;

	/* A callback may ask for the next resync. */
	*waiters = (struct waiters){};
	vec_foreach (waiter, &w)
		waiter->on_synced(waiter->userdata, error);
	vec_done(&w);
}

void docker_sync_fail_waiters(struct docker *d, int error)
{
	call_waiters(&d->sync.waiters, error);
	call_waiters(&d->sync.next, error);
}

static void stop(struct docker *d)
{
	struct sync *s = &d->sync;

	free_lists(s);
	s->running = s->applied = false;
	s->n_awaited = s->n_gates = 0;
	vec_foreach (o, &d->objects)
		(*o)->awaited = (*o)->gate = false;
	if (s->limit)
		(void)sd_event_source_set_enabled(s->limit, SD_EVENT_OFF);
}

void docker_sync_cancel(struct docker *d, int error)
{
	stop(d);
	d->sync.again = false;
	if (d->sync.timer)
		(void)sd_event_source_set_enabled(d->sync.timer, SD_EVENT_OFF);
	docker_sync_fail_waiters(d, error);
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *userdata)
{
	(void)source;
	(void)now_us;
	docker_sync_start(userdata);
	return 0;
}

void docker_sync_soon(struct docker *d, uint64_t delay_us)
{
	uint64_t next_us;
	int enabled;

	if (d->phase < DOCKER_SYNCING)
		return; /* connecting leads to one anyway */
	if (d->sync.timer && sd_event_source_get_enabled(d->sync.timer, &enabled) >= 0 &&
	    enabled != SD_EVENT_OFF && sd_event_source_get_time(d->sync.timer, &next_us) >= 0 &&
	    next_us <= docker_now(d) + delay_us)
		return;
	(void)docker_arm(d, &d->sync.timer, delay_us, delay_us / 10 + 1000, on_timer,
			 "docker-sync");
}

/* ----------------------------------------------------------------------------------- end */

static void finish(struct docker *d)
{
	struct sync *s = &d->sync;
	struct waiters waiters = s->waiters;
	bool again = s->again;

	stop(d);
	docker_collect_objects(d);
	s->waiters = s->next;
	s->next = (struct waiters){};
	s->again = false;
	if (d->resync_us)
		docker_sync_soon(d, d->resync_us);
	/* Small changes too are known to whoever waits. */
	docker_changed_flush(d);
	call_waiters(&waiters, 0);
	if (again)
		docker_sync_start(d);
}

static void set_complete(struct docker *d)
{
	if (d->snapshot.complete || d->sync.n_gates)
		return;
	d->snapshot.complete = true;
	docker_changed(d);
}

void docker_sync_release(struct docker *d, struct object *o)
{
	struct sync *s = &d->sync;

	if (!o->awaited)
		return;
	o->awaited = false;
	s->n_awaited--;
	if (o->gate) {
		o->gate = false;
		s->n_gates--;
		set_complete(d);
	}
	if (s->n_awaited == 0)
		finish(d);
}

static int on_limit(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct docker *d = userdata;

	(void)source;
	(void)now_us;
	if (!d->sync.running || !d->sync.applied)
		return 0;
	d->sync.n_gates = 0;
	set_complete(d);
	finish(d);
	return 0;
}

static void await_objects(struct docker *d)
{
	struct sync *s = &d->sync;

	vec_foreach (p, &d->objects) {
		struct object *o = *p;

		if (!docker_object_is_busy(o) || o->retry_us)
			continue;
		o->awaited = true;
		s->n_awaited++;
		s->n_gates += o->gate;
	}
}

static void note_connected(struct docker *d)
{
	struct engine *e = &d->snapshot.engine;

	d->phase = DOCKER_FOLLOWING;
	d->connected_us = docker_now(d);
	e->connected = true;
	docker_watch_stop(d);
	/* Rules of Docker's own are looked for anew: this may be another engine, or options. */
	vec_foreach (n, &d->snapshot.networks)
		n->docker_rules = DOCKER_RULES_UNKNOWN;
	log_info("Docker engine %s (API %s) at %s%s: %zu networks, %zu containers.",
		 e->version ? e->version : "?", e->api, e->host, d->was_connected ? " is back" : "",
		 d->snapshot.networks.n, d->snapshot.containers.n);
	d->was_connected = true;
}

/* Both lists are here. */
static void apply(struct docker *d)
{
	struct sync *s = &d->sync;
	bool changed = docker_apply_lists(d), is_new = d->phase == DOCKER_SYNCING;
	struct timespec now;

	s->applied = true;
	s->backoff_us = BACKOFF_MIN_US;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	d->snapshot.engine.last_sync_us =
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	(void)sd_event_source_set_enabled(d->hang, SD_EVENT_OFF);
	if (is_new)
		note_connected(d);
	await_objects(d);
	docker_trouble_over(d);
	if (!d->snapshot.complete && s->n_gates == 0)
		set_complete(d);
	else if (changed || is_new)
		docker_changed(d);
	if (s->n_awaited == 0)
		finish(d);
	else
		(void)docker_arm(d, &s->limit, AWAIT_US, 1000, on_limit, "docker-sync-limit");
	docker_pump(d);
}

static void apply_if_ready(struct docker *d)
{
	/* Whether the engine is experimental is asked at the same time, and part of the picture. */
	if (d->sync.have_networks && d->sync.have_containers && d->info_known)
		apply(d);
}

void docker_sync_info_known(struct docker *d)
{
	if (d->sync.running && !d->sync.applied)
		apply_if_ready(d);
}

static void fail(struct docker *d, const char *path, int error, const char *why)
{
	struct sync *s = &d->sync;
	char text[320];

	(void)snprintf(text, sizeof(text), "%s", why); /* it may be of the request that is freed */
	stop(d);
	docker_trouble(d, error, "The Docker engine at %s does not say what there is (GET %s: %s)",
		       d->snapshot.engine.host, path, text);
	docker_sync_soon(d, s->backoff_us);
	s->backoff_us = MIN_OF(s->backoff_us * 2, BACKOFF_MAX_US);
	s->again = false;
	docker_sync_fail_waiters(d, error);
}

/* -------------------------------------------------------------------------------- begin */

static bool is_usable(struct docker *d, const char *path, const struct curl_answer *answer)
{
	char text[320];

	if (answer->error == 0 && answer->status == 200)
		return true;
	docker_describe(answer, text, sizeof(text));
	fail(d, path,
	     answer->error < 0       ? answer->error
	     : answer->status == 403 ? -EACCES
				     : -EREMOTEIO,
	     text);
	return false;
}

static void on_networks(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	struct sync *s = &d->sync;
	const char *why = "out of memory";
	int r;

	if (!is_usable(d, "/networks", answer))
		return;
	r = docker_json_networks(answer->body, answer->length, &s->networks, &s->networks_skipped,
				 &why);
	if (r < 0) {
		fail(d, "/networks", r, why);
		return;
	}
	if (s->networks_skipped)
		s->why_skipped = why;
	s->have_networks = true;
	s->networks_request = curl_request_free(s->networks_request);
	apply_if_ready(d);
}

static void on_containers(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	struct sync *s = &d->sync;
	const char *why = "out of memory";
	int r;

	if (!is_usable(d, "/containers/json", answer))
		return;
	r = docker_json_containers(answer->body, answer->length, &s->containers,
				   &s->containers_skipped, &why);
	if (r < 0) {
		fail(d, "/containers/json", r, why);
		return;
	}
	if (s->containers_skipped)
		s->why_skipped = why;
	s->have_containers = true;
	s->containers_request = curl_request_free(s->containers_request);
	apply_if_ready(d);
}

static int request(struct docker *d, const char *name,
		   void (*on_done)(void *, const struct curl_answer *), struct curl_request **ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/v%s%s", d->snapshot.engine.api, name);
	return curl_request_new(
		d->curl,
		&(struct curl_request_config){ .path = path, .on_done = on_done, .userdata = d },
		ret);
}

void docker_sync_start(struct docker *d)
{
	struct sync *s = &d->sync;
	int r;

	if (d->phase < DOCKER_SYNCING)
		return;
	if (s->running) {
		s->again = true;
		return;
	}
	s->running = true;
	s->started = ++d->clock;
	if (s->timer)
		(void)sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	docker_watch_for_hang(d);
	/* all=1: what stopped containers ask for is wanted before they are started. */
	r = request(d, "/networks", on_networks, &s->networks_request);
	if (r == 0)
		r = request(d, "/containers/json?all=1", on_containers, &s->containers_request);
	if (r < 0)
		fail(d, "/networks", r, strerror(-r));
}

int docker_resync(struct docker *d, void (*on_synced)(void *userdata, int error), void *userdata)
{
	/* One that is running may be past what the caller wants to see. */
	struct waiters *waiters = d->sync.running ? &d->sync.next : &d->sync.waiters;
	struct waiter *w = vec_add(waiters);

	if (!w)
		return -ENOMEM;
	*w = (struct waiter){ .on_synced = on_synced, .userdata = userdata };
	if (d->phase == DOCKER_WAITING) {
		d->backoff_us = BACKOFF_MIN_US;
		docker_connect_soon(d, 0);
	} else if (d->phase < DOCKER_SYNCING)
		docker_watch_for_hang(d);
	else
		docker_sync_start(d);
	return 0;
}

void docker_set_resync(struct docker *d, uint64_t resync_us)
{
	d->resync_us = resync_us;
	docker_sync_soon(d, resync_us);
}

void docker_sync_free(struct docker *d)
{
	struct sync *s = &d->sync;

	free_lists(s);
	vec_done(&s->waiters);
	vec_done(&s->next);
	sd_event_source_disable_unref(s->timer);
	sd_event_source_disable_unref(s->limit);
	s->timer = s->limit = NULL;
}
