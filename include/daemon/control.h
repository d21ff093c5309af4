/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The control API (DESIGN section 6): its endpoints, in terms of callbacks to the manager. */
#include "base/own.h"
#include "base/status.h"

#include <systemd/sd-event.h>

#define CONTROL_DEFAULT_PATH "/run/ipv6nat/control.sock"
#define CONTROL_GROUP "ipv6nat"

struct control;

struct control_callbacks {
	/*
	 * Has the status rendered into *ret, as render() likes it; with the connections of ports,
	 * which are asked from the kernel, or without. 0 or -errno.
	 */
	int (*status)(void *userdata, bool connections,
		      int (*render)(const struct status *s, void *ret), void *ret);
	/* *ret is malloc()ed; 0 or -errno. */
	int (*plan_text)(void *userdata, char **ret);
	/* True: every network is as planned and the engine answers. */
	bool (*healthy)(void *userdata);
	/*
	 * Observes and reconciles, then calls done(request, 0 or -errno) exactly once: after the
	 * kernel's acknowledgement, or before sync() returns. On failure (< 0) it does not.
	 */
	int (*sync)(void *userdata, void (*done)(void *request, int error), void *request);
	/* Reads the configuration again. On failure *ret_error may be a malloc()ed sentence. */
	int (*reload)(void *userdata, char **ret_error);
};

/* Listens at path (NULL: the default). Errors as of http_server_new(), already logged. */
int control_new(sd_event *event, const char *path, const struct control_callbacks *callbacks,
		void *userdata, struct control **ret);
/*
 * Opens /metrics and /healthz, nothing else, by TCP at "[ADDRESS]:PORT"; NULL closes them. A failure
 * is a problem, and logged; the same address is left alone where it is open.
 */
void control_listen(struct control *c, const char *address);
const struct problems *control_problems(const struct control *c);
/* The status may be another now: whoever follows is told what has changed. */
void control_changed(struct control *c);
/* Requests that wait for done() may be answered later still: done() does not touch *c. */
struct control *control_free(struct control *c);
DEFINE_CLEANUP(struct control *, control_free)
