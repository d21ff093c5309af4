/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* The manager's state, shared by manager*.c only. */
#include "daemon/manager.h"
#include "io/docker.h"
#include "io/fw.h"
#include "io/link.h"
#include "io/ndp.h"
#include "model/plan.h"

struct sync_waiter {
	void (*done)(void *userdata, int error);
	void *userdata;
};

/* A sysctl that we wrote. */
struct sysctl_attempt {
	struct plan_sysctl sysctl;
	uint64_t written_us; /* CLOCK_MONOTONIC */
	int error;           /* 0 or -errno */
};

/* Who changed our table, and how often lately. */
struct repairs {
	uint64_t total;
	unsigned recent;        /* within the current window */
	uint64_t window_us;     /* CLOCK_MONOTONIC start of the window */
	unsigned in_a_row;      /* without a pause worth the name in between */
	uint64_t last_us;       /* CLOCK_MONOTONIC */
	uint64_t not_before_us; /* backing off until then; 0: not */
	pid_t pid;              /* of the change that this pass repairs; 0: none was seen */
	bool lost;              /* notifications were: there may have been one */
	char process[32];
};

struct manager {
	sd_event *event;
	struct manager_options options;
	struct config config;

	struct fw *fw;
	struct link_monitor *link_monitor;
	struct docker *docker;
	struct ndp *ndp;

	sd_event_source *reconcile; /* deferred, one-shot */
	sd_event_source *retry;     /* timer: backing off */
	sd_event_source *resync;    /* timer: what nobody announces */

	struct plan plan; /* the latest; its ruleset has moved to observed once applied */
	bool planned;
	struct ruleset observed; /* our tables, as the kernel last confirmed them */
	bool observed_valid;     /* false: read the kernel again */
	bool applied;            /* observed is what the plan wants */
	bool rules_of_others;    /* Docker's own rules may have changed */
	bool synced_once;

	struct plan_refusals refusals;
	struct problems refused; /* PROBLEM_KERNEL_REFUSED and what the kernel said */
	VEC(struct sysctl_attempt) sysctls;
	struct problems own;    /* sysctls, repairs: made anew by every pass */
	struct problems logged; /* what has been logged, so that it is said once */
	struct repairs repairs;
	uint64_t commits;
	uint64_t commit_errors;
	uint64_t config_reads, config_errors;
	struct status_latency latency; /* from an event of Docker to the kernel's ack */
	uint64_t started_us;           /* CLOCK_MONOTONIC */

	VEC(struct sync_waiter) waiters;
	bool waiting_for_docker; /* the waiters' resync is still under way */
	int sync_error;          /* of that resync */
};

extern const struct fw_callbacks manager_fw_callbacks;

/* Marks that something has to be looked at; acts when the event loop has nothing more urgent. */
void manager_dirty(struct manager *m);
/* Nobody but the process that made one of the tables may change it. */
bool manager_table_is_owned(const struct ruleset *observed);
/* One pass: observe, plan, diff, apply. */
int manager_reconcile(struct manager *m);
/* Writes what the plan wants below /proc/sys. > 0: something was written. */
int manager_apply_sysctls(struct manager *m);
/* Adds to m->own what could not be written. 0 or -ENOMEM. */
int manager_report_sysctls(struct manager *m);
/* Calls manager_dirty() again at a time of CLOCK_MONOTONIC. */
void manager_retry_at(struct manager *m, uint64_t time_us);
/* STATUS= for the service manager. */
void manager_announce(struct manager *m);
/* Collects m->own anew and logs problems that were not there before, and those that went. */
void manager_refresh_problems(struct manager *m);
uint64_t manager_now(const struct manager *m);
