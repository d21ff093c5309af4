/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is there, and which API version it speaks. No fixed one fits 19.03 to 29.2: /_ping, which
 * needs none, tells the highest; an engine that has dropped ours names the lowest.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* The highest that we know the answers of. */
#define API_MAJOR 1
#define API_MINOR 52
/* /info may hang with a storage driver; all it tells us is whether the engine is experimental or
 * rootless. */
#define INFO_TIMEOUT_US 10000000ULL

static int set_api(struct docker *d, unsigned major, unsigned minor)
{
	char *text;

	if (asprintf(&text, "%u.%u", major, minor) < 0)
		return -ENOMEM;
	free(d->snapshot.engine.api);
	d->snapshot.engine.api = text;
	return 0;
}

static bool parse_api(const char *text, unsigned *ret_major, unsigned *ret_minor)
{
	unsigned major, minor;
	int n = 0;

	if (!isdigit((unsigned char)*text) || sscanf(text, "%4u.%4u%n", &major, &minor, &n) != 2 ||
	    n == 0)
		return false;
	*ret_major = major;
	*ret_minor = minor;
	return true;
}

/* "client version 1.52 is too new|old. Minimum supported API version is 1.53, ..." */
static bool minimum_api(const struct curl_answer *answer, unsigned *ret_major, unsigned *ret_minor)
{
	static const char marker[] = "inimum supported API version is ";
	char message[512];
	const char *p;

	if (answer->status != 400)
		return false;
	docker_json_error(answer->body, answer->length, message, sizeof(message));
	p = strstr(message, marker);
	return p && parse_api(p + strlen(marker), ret_major, ret_minor);
}

static int request_version(struct docker *d);

static void fail(struct docker *d, const char *path, const struct curl_answer *answer)
{
	char what[320], why[400];

	docker_describe(answer, what, sizeof(what));
	if (answer->error < 0) {
		docker_disconnect(d, answer->error, what);
		return;
	}
	(void)snprintf(why, sizeof(why), "GET %s: %s", path, what);
	docker_disconnect(d, answer->status == 403 ? -EACCES : -EPROTO, why);
}

static void on_version(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	unsigned major, minor;
	const char *why;
	int r;

	if (!d->renegotiated && answer->error == 0 && minimum_api(answer, &major, &minor)) {
		d->renegotiated = true;
		d->version = curl_request_free(d->version);
		d->info = curl_request_free(d->info);
		r = set_api(d, major, minor);
		if (r == 0)
			r = request_version(d);
		if (r < 0)
			docker_disconnect(d, r, strerror(-r));
		return;
	}
	if (answer->error < 0 || answer->status != 200) {
		fail(d, "/version", answer);
		return;
	}
	r = docker_json_version(answer->body, answer->length, &d->snapshot.engine, &why);
	if (r < 0) {
		docker_disconnect(d, -EPROTO, r == -ENOMEM ? "out of memory" : why);
		return;
	}
	d->version = curl_request_free(d->version);
	r = docker_subscribe(d);
	if (r < 0)
		docker_disconnect(d, r, strerror(-r));
}

static void on_info(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	const char *why;
	char text[320];

	if (answer->error < 0 || answer->status != 200) {
		docker_describe(answer, text, sizeof(text));
		log_debug("GET /info of the Docker engine: %s; going on without.", text);
	} else if (docker_json_info(answer->body, answer->length, &d->snapshot.engine, &why) < 0)
		log_debug("GET /info of the Docker engine is of no use, going on without.");
	d->info = curl_request_free(d->info);
	d->info_known = true;
	docker_sync_info_known(d);
}

static int request(struct docker *d, const char *name, uint64_t timeout_us,
		   void (*on_done)(void *, const struct curl_answer *), struct curl_request **ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/v%s%s", d->snapshot.engine.api, name);
	return curl_request_new(d->curl,
				&(struct curl_request_config){
					.path = path,
					.timeout_us = timeout_us,
					.on_done = on_done,
					.userdata = d,
				},
				ret);
}

static int request_version(struct docker *d)
{
	int r;

	d->info_known = false;
	r = request(d, "/version", 0, on_version, &d->version);
	return r < 0 ? r : request(d, "/info", INFO_TIMEOUT_US, on_info, &d->info);
}

static void on_ping(void *userdata, const struct curl_answer *answer)
{
	struct docker *d = userdata;
	unsigned major, minor;
	int r;

	if (answer->error < 0) {
		fail(d, "/_ping", answer);
		return;
	}
	/* Every engine says this with every answer, errors included. */
	if (!parse_api(answer->api_version, &major, &minor)) {
		char what[320], why[400];

		docker_describe(answer, what, sizeof(what));
		(void)snprintf(why, sizeof(why), "what answers there is not Docker: %s", what);
		docker_disconnect(d, -EPROTO, why);
		return;
	}
	if (answer->status != 200) {
		fail(d, "/_ping", answer);
		return;
	}
	/* The engine's own clock: it may be another host's. */
	d->engine_date = answer->date;
	if (major > API_MAJOR || (major == API_MAJOR && minor > API_MINOR)) {
		major = API_MAJOR;
		minor = API_MINOR;
	}
	d->ping = curl_request_free(d->ping);
	r = set_api(d, major, minor);
	if (r == 0)
		r = request_version(d);
	if (r < 0)
		docker_disconnect(d, r, strerror(-r));
}

int docker_greet(struct docker *d)
{
	d->renegotiated = false;
	return curl_request_new(d->curl,
				&(struct curl_request_config){
					.path = "/_ping",
					.on_done = on_ping,
					.userdata = d,
				},
				&d->ping);
}
