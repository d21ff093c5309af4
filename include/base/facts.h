/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * What Docker said: plain facts, decoded by wire/docker-json, collected by io/docker, read by
 * model. Strings are owned by the struct that holds them and are never NULL unless said so.
 * Only what the plan can need is kept: of labels and options, those that we or Docker's
 * bridge driver give a meaning to.
 */
#include "base/inet.h"
#include "base/strtab.h"
#include "base/vec.h"

#define DOCKER_ID_LENGTH 64

struct key_value {
	char *key;
	char *value;
};
struct key_values {
	VEC_FIELDS(struct key_value);
};

/* NULL if absent. */
const char *key_values_get(const struct key_values *v, const char *key);
/* Adds a copy, or replaces the value. 0 or -ENOMEM. */
int key_values_set(struct key_values *v, const char *key, const char *value);
void key_values_done(struct key_values *v);

enum container_state {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING,
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD,
	_CONTAINER_STATE_MAX,
};
DECLARE_STRTAB(container_state, enum container_state);

enum network_mode_kind {
	NETWORK_MODE_OWN,  /* a network namespace of its own */
	NETWORK_MODE_HOST, /* the host's: nothing to translate */
	NETWORK_MODE_NONE,
	NETWORK_MODE_CONTAINER, /* another container's: the ports belong to that one */
};

enum host_ip_kind {
	HOST_IP_UNPUBLISHED, /* exposed only, no host side */
	HOST_IP_EMPTY,       /* "": the engine's default binding (requested ports only) */
	HOST_IP_V4,
	HOST_IP_V6,
};

/* One binding of one container port; ranges arrive expanded. */
struct port_binding {
	uint8_t protocol; /* IPPROTO_TCP, UDP or SCTP */
	enum host_ip_kind host_ip_kind;
	struct in6_addr host_ip; /* valid for HOST_IP_V6 */
	uint16_t container_port;
	uint16_t host_port; /* 0: chosen by the engine, or none (gateway mode routed) */
};
struct port_bindings { /* sorted */
	VEC_FIELDS(struct port_binding);
};
/* By protocol and container port first: the bindings of one port stand together. */
int port_binding_compare(const void *a, const void *b);

struct endpoint {
	char *network_id;        /* 64 hex; "" in a container that was never started */
	char *network_name;      /* key of NetworkSettings.Networks */
	struct in6_addr address; /* GlobalIPv6Address; zero: none */
	bool has_gateway4;
	bool has_gateway6;
	int64_t gateway_priority; /* GwPriority, engines >= 28 */
};

struct container {
	char *id;
	char *name; /* without the leading slash */
	enum container_state state;
	enum network_mode_kind network_mode;
	uint64_t started_us; /* State.StartedAt, microseconds since 1970; 0: unknown or never */
	struct key_values labels; /* "ipv6nat." only */
	VEC(struct endpoint) endpoints;
	struct port_bindings ports;     /* NetworkSettings.Ports: what the engine has bound */
	struct port_bindings requested; /* HostConfig.PortBindings; known once inspected */
	bool inspected;
};

/* One entry of GET /networks/{id} .Containers: known before the container's process runs. */
struct network_member {
	char *container_id;      /* or "ingress-sbox", "ep-…", "lb-…" */
	struct in6_addr address; /* zero: none */
};

struct network_subnet {
	struct inet_prefix prefix;
	struct in6_addr gateway; /* zero: not said */
};

enum docker_rules {
	DOCKER_RULES_UNKNOWN, /* not looked for since the network came or the engine connected */
	DOCKER_RULES_ABSENT,
	DOCKER_RULES_PRESENT,
	DOCKER_RULES_LOST, /* were present since the engine connected, are not now */
};

struct network {
	char *id;
	char *name;
	char *driver;
	bool ipv6;
	bool ipv6_only; /* EnableIPv4=false, engines >= 28 */
	bool internal;
	bool config_only;
	bool ingress;
	bool swarm; /* scope: on a manager the list has the cluster's view, without IPv6 or subnets */
	VEC(struct network_subnet) subnets; /* IPv6 only */
	struct key_values options;          /* "com.docker.network.", "ipv6nat." */
	struct key_values labels;           /* "ipv6nat." only */
	VEC(struct network_member) members; /* as of the last GET /networks/{id} */
	bool members_known;
	enum docker_rules docker_rules; /* kept by model/native.h */
};

struct engine {
	char *host;    /* URL as given */
	char *version; /* NULL before the first answer */
	char *api;     /* negotiated API version, NULL before */
	unsigned version_major, version_minor, version_patch;
	bool experimental;
	bool rootless;
	bool connected;
	uint64_t events; /* received since the daemon started */
	uint64_t container_events, network_events;
	uint64_t errors;       /* connections, resyncs and reads that failed */
	uint64_t last_sync_us; /* wall clock, microseconds since 1970; 0: never */
};

struct snapshot {
	struct engine engine;
	bool complete; /* one full resync has succeeded: before that nothing may be written */
	VEC(struct network) networks;     /* sorted by id */
	VEC(struct container) containers; /* sorted by id */
};

void container_done(struct container *c);
void network_done(struct network *n);
void engine_done(struct engine *e);
void snapshot_done(struct snapshot *s);

int container_compare(const void *a, const void *b); /* by id */
int network_compare(const void *a, const void *b);   /* by id */
struct container *snapshot_find_container(const struct snapshot *s, const char *id);
struct network *snapshot_find_network(const struct snapshot *s, const char *id);
/* The bridge device's name: option com.docker.network.bridge.name, else "br-" + 12 hex. */
const char *network_bridge(const struct network *n, char buffer[static 16]);
