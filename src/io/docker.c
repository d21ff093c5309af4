/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/docker.h"

#include "base/log.h"
#include "io/docker-private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* A socket held by systemd accepts while the engine starts, which may take long: waiting is
 * right, but somebody may wonder. */
#define HANG_US 10000000ULL
/* A connection that lasted this long was a good one: begin with a short back-off again. */
#define STABLE_US 10000000ULL
#define LOGGED_MAX 16

uint64_t docker_now(const struct docker *d)
{
	uint64_t now_us = 0;

	(void)sd_event_now(d->event, CLOCK_MONOTONIC, &now_us);
	return now_us;
}

int docker_arm(struct docker *d, sd_event_source **source, uint64_t delay_us, uint64_t accuracy_us,
	       sd_event_time_handler_t handler, const char *name)
{
	int r;

	if (!*source) {
		r = sd_event_add_time_relative(d->event, source, CLOCK_MONOTONIC, delay_us,
					       accuracy_us, handler, d);
		if (r < 0)
			return log_error_errno(r, "Cannot set the timer %s: %m", name);
		(void)sd_event_source_set_description(*source, name);
		return 0;
	}
	r = sd_event_source_set_time_relative(*source, delay_us);
	if (r >= 0)
		r = sd_event_source_set_time_accuracy(*source, accuracy_us);
	if (r >= 0)
		r = sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
	return r < 0 ? log_error_errno(r, "Cannot set the timer %s: %m", name) : 0;
}

/* ---------------------------------------------------------------- what others get to know */

void docker_changed(struct docker *d)
{
	if (d->applying_event_us && (!d->event_us || d->applying_event_us < d->event_us))
		d->event_us = d->applying_event_us;
	d->on_change_due = false;
	d->callbacks.on_change(d->userdata);
}

void docker_changed_flush(struct docker *d)
{
	if (d->on_change_due)
		docker_changed(d);
}

static const char *cure_of(const struct docker *d, int error)
{
	/* The engine's alert about our certificate is lost when its end is faster than our request. */
	if (error == -ECONNRESET && !d->was_connected &&
	    strncmp(d->address.base_url, "https:", 6) == 0)
		return "The engine may not accept the certificate: check cert.pem and key.pem in "
		       "DOCKER_CERT_PATH, and the engine's own log.";
	switch (-error) {
	case ENOENT:
	case ECONNREFUSED:
		return "Is dockerd running? Check DOCKER_HOST, or Host= in section [Docker].";
	case EACCES:
	case EPERM:
		return "Run ipv6natd as root, or let it be a member of the socket's group (docker).";
	case EKEYREJECTED:
		return "Check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH, and DOCKER_TLS_VERIFY.";
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ETIMEDOUT:
		return "Check DOCKER_HOST, the network, and that dockerd answers: docker version.";
	case EPROTO:
		return "Check that DOCKER_HOST, or Host= in section [Docker], names a Docker engine.";
	default:
		return "See the engine's own log: journalctl -u docker.";
	}
}

static bool was_logged(const struct docker *d, const char *text)
{
	vec_foreach (logged, &d->logged)
		if (strcmp(*logged, text) == 0)
			return true;
	return d->logged.n >= LOGGED_MAX;
}

void docker_trouble(struct docker *d, int error, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	char **logged;
	va_list ap;

	va_start(ap, format);
	text = vformat_text(format, ap);
	va_end(ap);
	if (!text) {
		log_oom();
		return;
	}
	d->snapshot.engine.errors++;

	/* Each cause once until all is well again, not once per attempt; and not what is to be
	 * expected of an engine that is known to be away. */
	if (!was_logged(d, text)) {
		bool is_expected =
			error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET;

		if (is_expected && d->logged.n > 0)
			log_debug("%s; will retry.", text);
		else
			log_warning("%s; keeping all rules, will retry.", text);
		logged = vec_add(&d->logged);
		if (logged)
			*logged = strdup(text);
		if (logged && !*logged)
			d->logged.n--;
	}
	free(d->trouble);
	d->trouble = steal_ptr(&text);
	d->cure = cure_of(d, error);
	d->trouble_code = error == -E2BIG ? PROBLEM_DOCKER_LIMIT : PROBLEM_DOCKER_DISCONNECTED;
	docker_update_problems(d);
}

void docker_trouble_over(struct docker *d)
{
	vec_foreach (logged, &d->logged)
		free(*logged);
	vec_done(&d->logged);
	free(d->trouble);
	d->trouble = NULL;
	docker_update_problems(d);
}

static int add_limit_problems(const struct docker *d, struct problems *p)
{
	const char *cure = "Look at the object with docker inspect; it is left as it was known.";
	unsigned n = 0;
	int r = 0;

	vec_foreach (o, &d->objects)
		if ((*o)->refused && n++ < 8 && r == 0)
			r = problems_add(p, PROBLEM_DOCKER_LIMIT, PROBLEM_WARNING, cure,
					 "What the engine says of %s %.12s is not used: %s",
					 (*o)->kind == OBJECT_CONTAINER ? "container" : "network",
					 (*o)->id, (*o)->refused);
	n = d->sync.networks_skipped + d->sync.containers_skipped;
	if (n > 0 && r == 0)
		r = problems_add(p, PROBLEM_DOCKER_LIMIT, PROBLEM_WARNING, cure,
				 "%u networks or containers in the engine's lists are not used: %s",
				 n, d->sync.why_skipped);
	return r;
}

static int build_problems(const struct docker *d, struct problems *p)
{
	int r = 0;

	if (d->trouble)
		r = problems_add(p, d->trouble_code, PROBLEM_ERROR, d->cure, "%s", d->trouble);
	if (d->snapshot.engine.rootless && r == 0)
		r = problems_add(
			p, PROBLEM_ROOTLESS, PROBLEM_ERROR,
			"Use an engine that runs as root, or run ipv6natd in the namespace "
			"of RootlessKit.",
			"The Docker engine is rootless: its networks are in a network "
			"namespace of their own, which is out of reach from here");
	return r < 0 ? r : add_limit_problems(d, p);
}

void docker_update_problems(struct docker *d)
{
	struct problems p = {};
	bool same;

	if (build_problems(d, &p) < 0) {
		log_oom();
		problems_done(&p);
		return;
	}
	same = p.n == d->problems.n;
	for (size_t i = 0; same && i < p.n; i++)
		same = problems_equal(&p.items[i], &d->problems.items[i]);
	problems_done(&d->problems);
	d->problems = p;
	if (!same)
		docker_changed(d);
}

void docker_describe(const struct curl_answer *answer, char *ret, size_t size)
{
	char message[256];

	if (answer->error < 0) {
		errno = -answer->error;
		/* libcurl's words say more about names and certificates, ours about the rest. */
		if (errno == EKEYREJECTED || errno == EHOSTUNREACH || errno == EPROTO)
			(void)snprintf(ret, size, "%s", answer->error_text);
		else if (errno == E2BIG)
			(void)snprintf(ret, size, "the answer is too long");
		else
			(void)snprintf(ret, size, "%m");
		return;
	}
	docker_json_error(answer->body, answer->length, message, sizeof(message));
	/* Not the engine's own: perhaps something in between that speaks plain text. */
	if (!*message)
		(void)snprintf(message, sizeof(message), "%.*s",
			       (int)MIN_OF(answer->length, (size_t)100), answer->body);
	for (char *p = message; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	(void)snprintf(ret, size, "HTTP %ld%s%s", answer->status, *message ? ": " : "", message);
}

/* -------------------------------------------------------------------------- connection */

static int on_reconnect(sd_event_source *source, uint64_t now_us, void *userdata)
{
	(void)source;
	(void)now_us;
	docker_connect(userdata);
	return 0;
}

static int on_hang(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct docker *d = userdata;

	(void)source;
	(void)now_us;
	if (d->phase == DOCKER_WAITING ||
	    (d->phase == DOCKER_FOLLOWING && (!d->sync.running || d->sync.applied)))
		return 0;
	docker_trouble(d, -ETIMEDOUT,
		       "The Docker engine at %s has not answered for %llu s; it may be starting",
		       d->snapshot.engine.host, HANG_US / 1000000);
	/* Whoever waits for a resync has waited long enough; we go on. */
	docker_sync_fail_waiters(d, -ETIMEDOUT);
	return 0;
}

void docker_watch_for_hang(struct docker *d)
{
	(void)docker_arm(d, &d->hang, HANG_US, 1000000, on_hang, "docker-hang");
}

void docker_connect_soon(struct docker *d, uint64_t delay_us)
{
	(void)docker_arm(d, &d->reconnect, delay_us, 1000, on_reconnect, "docker-reconnect");
}

void docker_connect(struct docker *d)
{
	int r;

	if (d->phase != DOCKER_WAITING)
		return;
	if (d->reconnect)
		(void)sd_event_source_set_enabled(d->reconnect, SD_EVENT_OFF);
	if (d->address.unix_path)
		d->watched_inode = docker_watch_inode(d);
	docker_watch_for_hang(d);
	d->phase = DOCKER_ASKING;
	if (docker_unit_ask(d) > 0)
		return;
	d->phase = DOCKER_GREETING;
	r = docker_greet(d);
	if (r < 0)
		docker_disconnect(d, r, strerror(-r));
}

static void cancel_connection(struct docker *d)
{
	docker_unit_cancel(d);
	d->ping = curl_request_free(d->ping);
	d->version = curl_request_free(d->version);
	d->info = curl_request_free(d->info);
	d->stream = curl_request_free(d->stream);
	docker_cancel_objects(d);
	if (d->hang)
		(void)sd_event_source_set_enabled(d->hang, SD_EVENT_OFF);
	d->phase = DOCKER_WAITING;
}

void docker_disconnect(struct docker *d, int error, const char *why)
{
	struct engine *engine = &d->snapshot.engine;
	bool was_connected = engine->connected;

	if (was_connected && docker_now(d) - d->connected_us > STABLE_US)
		d->backoff_us = BACKOFF_MIN_US;
	cancel_connection(d);
	engine->connected = false;
	docker_trouble(d, error,
		       was_connected ? "The Docker engine at %s is gone (%s)"
				     : "The Docker engine at %s is not to be reached (%s)",
		       engine->host, why);
	if (was_connected)
		docker_changed(d);
	docker_sync_cancel(d, error < 0 ? error : -ENOTCONN);
	docker_connect_soon(d, d->backoff_us);
	d->backoff_us = MIN_OF(d->backoff_us * 2, BACKOFF_MAX_US);
	docker_watch_start(d);
}

/* --------------------------------------------------------------------------------- life */

static int copy_config(struct docker *d, const struct docker_config *config)
{
	const char *why = NULL;
	int r;

	r = docker_address_parse(config->host, config->cert_path != NULL, config->tls_verify,
				 &d->address, &why);
	if (r == -EINVAL) {
		log_error("The Docker engine's address \"%s\" cannot be used: %s.", config->host,
			  why);
		return r;
	}
	if (r < 0)
		return r;
	d->snapshot.engine.host = strdup(config->host);
	d->cert_path = config->cert_path ? strdup(config->cert_path) : NULL;
	if (!d->snapshot.engine.host || (config->cert_path && !d->cert_path))
		return -ENOMEM;
	d->resync_us = config->resync_us;
	return 0;
}

int docker_new(sd_event *event, const struct docker_config *config,
	       const struct docker_callbacks *callbacks, void *userdata, struct docker **ret)
{
	_cleanup_(docker_freep) struct docker *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return log_oom();
	d->event = sd_event_ref(event);
	d->callbacks = *callbacks;
	d->userdata = userdata;
	d->backoff_us = BACKOFF_MIN_US;
	d->sync.backoff_us = BACKOFF_MIN_US;
	for (int i = 0; i < _QUEUE_MAX; i++)
		TAILQ_INIT(&d->queues[i]);
	r = copy_config(d, config);
	if (r == -EINVAL)
		return r;
	if (r == 0)
		r = curl_glue_new(event,
				  &(struct curl_glue_config){
					  .base_url = d->address.base_url,
					  .unix_path = d->address.unix_path,
					  .cert_path = d->cert_path,
					  .verify = d->address.verify,
					  .answer_max = DOCKER_ANSWER_MAX,
				  },
				  &d->curl);
	if (r == 0)
		r = docker_arm(d, &d->reconnect, 0, 1, on_reconnect, "docker-reconnect");
	if (r < 0)
		return log_error_errno(r, "Cannot set up the connection to the Docker engine: %m");
	*ret = steal_ptr(&d);
	return 0;
}

struct docker *docker_free(struct docker *d)
{
	if (!d)
		return NULL;
	if (d->curl) {
		cancel_connection(d);
		docker_sync_free(d);
		docker_free_objects(d);
	}
	curl_glue_free(d->curl);
	docker_watch_stop(d);
	docker_unit_done(d);
	sd_event_source_disable_unref(d->unit_late);
	sd_event_source_disable_unref(d->reconnect);
	sd_event_source_disable_unref(d->hang);
	sd_event_source_disable_unref(d->retry);
	vec_foreach (logged, &d->logged)
		free(*logged);
	vec_done(&d->logged);
	free(d->trouble);
	problems_done(&d->problems);
	snapshot_done(&d->snapshot);
	docker_address_done(&d->address);
	free(d->cert_path);
	sd_event_unref(d->event);
	free(d);
	return NULL;
}

uint64_t docker_take_event(struct docker *d)
{
	uint64_t event_us = d->event_us;

	d->event_us = 0;
	return event_us;
}

struct snapshot *docker_snapshot(struct docker *d)
{
	return &d->snapshot;
}

const struct problems *docker_problems(const struct docker *d)
{
	return &d->problems;
}
