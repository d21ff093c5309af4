/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The manager: one path from facts to the kernel. Callbacks of the io modules only mark what has
 * to be looked at again; one deferred source observes, plans, applies the difference, and takes
 * the kernel's ack for the new state. Start-up, reload, reconnect, lost messages and foreign
 * changes all go this way.
 */
#include "base/config.h"
#include "base/own.h"
#include "base/status.h"
#include "daemon/config.h"

#include <systemd/sd-event.h>

struct manager;

struct manager_options {
	const char *config_file;   /* NULL: the default one; read again at reload */
	const char *docker_option; /* --docker, NULL: not given */
	int log_level;             /* of the command line; -1: as configured */
	bool dry_run;              /* write nothing to the kernel */
	void (*on_first_sync)(void *userdata, int error); /* --once, --dry-run; may be NULL */
	void (*on_pass)(void *userdata); /* the status may be another now; may be NULL */
	void *userdata;
};

/* Takes the configuration over (*config is empty afterwards). Errors are logged. */
int manager_new(sd_event *event, struct config *config, const struct manager_options *options,
		struct manager **ret);
struct manager *manager_free(struct manager *m);
DEFINE_CLEANUP(struct manager *, manager_free)

/* Reads the configuration again; a bad one is refused, the old one stays in force, and *ret_error
 * (malloc()ed, may be NULL) says why. */
int manager_reload(struct manager *m, char **ret_error);
/* Reads everything again and reconciles; done is called after the kernel's ack, or with -errno. */
int manager_sync(struct manager *m, void (*done)(void *userdata, int error), void *userdata);
/* Stops as configured: OnStop=remove takes our tables away. */
void manager_stop(struct manager *m);

/*
 * Has the status rendered, which is valid until render() returns; what that returns, or -errno.
 * connections: asks the kernel for the counters of the ports, too.
 */
int manager_status(struct manager *m, bool connections,
		   int (*render)(const struct status *s, void *ret), void *ret);
/* The ruleset as an nft script; *ret is malloc()ed. */
int manager_plan_text(struct manager *m, char **ret);
/* [Metrics] Listen= of the configuration in force, NULL: none; valid until it is read again. */
const char *manager_metrics_listen(const struct manager *m);
/* Docker is connected, and the kernel holds what was planned. */
bool manager_is_healthy(struct manager *m);

/* Removes all that is ours from the kernel, without Docker. > 0: there was something. Logs. */
int manager_cleanup(sd_event *event);
