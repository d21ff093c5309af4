/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What we decided and why, as data: built by model/plan (networks, problems), completed by the
 * daemon, rendered by wire/api-json as the status document of DESIGN section 6.
 */
#include "base/config.h"
#include "base/facts.h"
#include "base/ndp.h"
#include "base/own.h"

enum problem_code {
	PROBLEM_DOCKER_DISCONNECTED,
	PROBLEM_FORWARD_DROP,
	PROBLEM_FORWARDING_OFF,
	PROBLEM_ACCEPT_RA,
	PROBLEM_SYSCTL_READONLY,
	PROBLEM_DOCKER_RULES_LOST,
	PROBLEM_PORT_CONFLICT,
	PROBLEM_ADDRESS_REFUSED,
	PROBLEM_ADDRESS_CONFLICT,
	PROBLEM_SUBNET_OVERLAP,
	PROBLEM_UNROUTED_PREFIX,
	PROBLEM_UNPUBLISHED_CLOSED,
	PROBLEM_IPV4_ONLY_PORT,
	PROBLEM_UPLINK_MISSING,
	PROBLEM_UPLINK_NOT_ETHERNET,
	PROBLEM_KERNEL_REFUSED,
	PROBLEM_FOREIGN_REPAIR,
	PROBLEM_LEFTOVER_RULES,
	PROBLEM_LABEL_INVALID,
	PROBLEM_DOCKER_LIMIT, /* an answer, name or label of the engine is beyond our bounds */
	PROBLEM_ROOTLESS,
	PROBLEM_WIDE_RULE,      /* a static rule covers far more than containers */
	PROBLEM_METRICS_LISTEN, /* [Metrics] Listen= cannot be had */
	_PROBLEM_CODE_MAX,
};
DECLARE_STRTAB(problem_code, enum problem_code);

enum problem_severity {
	PROBLEM_NOTICE,
	PROBLEM_WARNING,
	PROBLEM_ERROR,
	_PROBLEM_SEVERITY_MAX,
};
DECLARE_STRTAB(problem_severity, enum problem_severity);

struct problem {
	enum problem_code code;
	enum problem_severity severity;
	char *message;
	char *cure; /* "" if there is none */
};

struct problems {
	VEC_FIELDS(struct problem);
};

/* Adds one; "format" makes the message. 0 or -ENOMEM. */
_printf_(5, 6) int problems_add(struct problems *p, enum problem_code code,
				enum problem_severity severity, const char *cure,
				const char *format, ...);
void problems_done(struct problems *p);
bool problems_equal(const struct problem *a, const struct problem *b);

enum port_state {
	PORT_ACTIVE,   /* in the ruleset, confirmed by the engine */
	PORT_ASSUMED,  /* in the ruleset, from what the starting container asked for */
	PORT_PROXIED,  /* left to docker-proxy (::1, ipv6nat.publish=no, native) */
	PORT_CONFLICT, /* another container holds the same host port */
	PORT_REFUSED,  /* the kernel did not take it: see the problem kernel-refused */
	_PORT_STATE_MAX,
};
DECLARE_STRTAB(port_state, enum port_state);

struct status_port {
	uint8_t protocol;
	struct in6_addr host_address;
	uint16_t host_port; /* 0: only the container's own port is opened (proxy, routed) */
	uint16_t container_port;
	enum port_state state;
	uint64_t connections; /* filled in from the kernel's counters when asked */
};

/* Is the port translated by the ruleset, and thus counted? */
_pure_ bool status_port_translated(const struct status_port *p);

struct status_container {
	char *id;
	char *name;
	struct in6_addr address;
	char answered[16]; /* the uplink on which the address is answered; "": none */
	VEC(struct status_port) ports;
};

struct status_network {
	char *id;
	char *name;
	char bridge[16];
	VEC(struct inet_prefix) subnets;
	enum net_mode mode;
	char *reason;
	char uplink[16];      /* "": none */
	struct in6_addr snat; /* zero: none */
	VEC(struct status_container) containers;
};

struct status_networks {
	VEC_FIELDS(struct status_network);
};
void status_networks_done(struct status_networks *n);

struct status_uplink {
	char interface[16];
	bool up;
	uint8_t mac[6];
	bool has_mac;
	VEC(struct inet_prefix) prefixes;
	VEC(struct in6_addr) addresses;
};

struct status_uplinks {
	VEC_FIELDS(struct status_uplink);
};
void status_uplinks_done(struct status_uplinks *u);

/* What is answered on one uplink, and what came of it since the daemon's start. */
struct status_ndp {
	char interface[16];
	size_t targets; /* addresses of containers */
	struct ndp_counters counters;
	VEC(struct inet_prefix) rules;
};

struct status_ndps {
	VEC_FIELDS(struct status_ndp);
};
void status_ndps_done(struct status_ndps *n);

/* A histogram of durations; the last count is of those above all bounds. */
#define STATUS_LATENCY_BOUNDS 14
extern const double status_latency_bounds_s[STATUS_LATENCY_BOUNDS];

struct status_latency {
	uint64_t counts[STATUS_LATENCY_BOUNDS + 1];
	double sum_s;
};
void status_latency_add(struct status_latency *l, uint64_t duration_us);

/* The daemon as a process. */
struct status_process {
	double cpu_s;
	double started_s; /* seconds since 1970 */
	uint64_t resident_bytes;
	unsigned open_fds;
};

/* The whole document; borrows everything from its builder. */
struct status {
	const char *version;
	const char *state; /* "ok", "degraded", "starting" */
	double uptime_s;
	const struct engine *engine;
	const char *backend;
	uint64_t commits, repairs, elements;
	uint64_t commit_errors; /* commits that the kernel refused */
	uint64_t config_reads; /* how often the configuration came into force, the start included */
	uint64_t config_errors;               /* how often a new one was refused */
	const struct status_latency *latency; /* from an event of Docker to the kernel's ack */
	const struct status_process *process; /* NULL: not asked for */
	const struct status_uplinks *uplinks;
	const struct status_networks *networks;
	const struct status_ndps *ndp; /* NULL: nothing is answered */
	/* Shown one after the other; NULL entries are skipped. */
	const struct problems *problems[6];
};
