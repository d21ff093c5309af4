/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The Docker Engine's API, asynchronously (libcurl multi on sd-event): follows the event stream,
 * GETs what an event touched, keeps the snapshot. Events are hints, GETs are facts.
 * Engine gone: the snapshot is kept, reconnection is tried with back-off (at once when the unix
 * socket appears, by inotify), then everything is read again.
 */
#include "base/facts.h"
#include "base/status.h"

#include <systemd/sd-event.h>

struct docker;

struct docker_config {
	const char *host;      /* unix:///path, tcp://host:port, https://host:port */
	const char *cert_path; /* directory of ca.pem, cert.pem, key.pem; NULL: none */
	bool tls_verify;
	uint64_t resync_us; /* period of the full resync */
};

struct docker_callbacks {
	/* The snapshot changed (any number of facts); it only records, it does not act. */
	void (*on_change)(void *userdata);
};

/* -EINVAL: the URL cannot be used (already logged). Connecting starts with the event loop. */
int docker_new(sd_event *event, const struct docker_config *config,
	       const struct docker_callbacks *callbacks, void *userdata, struct docker **ret);
struct docker *docker_free(struct docker *d);
DEFINE_CLEANUP(struct docker *, docker_free)

/* The facts so far; owned by *d, changes only before on_change. The manager may write
 * network.docker_rules (which io/docker keeps across refreshes of the same network and connection). */
struct snapshot *docker_snapshot(struct docker *d);
/* Why the engine is not connected, refused answers (PROBLEM_DOCKER_LIMIT), rootless. */
const struct problems *docker_problems(const struct docker *d);
/* When the first of the events arrived (CLOCK_MONOTONIC) whose effects on the snapshot have come since
 * the last call; 0: none. */
uint64_t docker_take_event(struct docker *d);
/* Starts a full resync now. on_synced is called when the snapshot is current again, or with a
 * negative errno if that failed. */
int docker_resync(struct docker *d, void (*on_synced)(void *userdata, int error), void *userdata);
/* Another period of the full resync. */
void docker_set_resync(struct docker *d, uint64_t resync_us);
