/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The status document as its reader sees it. Strict about the types of the keys it knows, blind to
 * others, so that an older ipv6natctl understands a newer daemon. Strings belong to the document.
 */
#include "base/own.h"
#include "base/vec.h"

#define API_ERROR_TEXT 256

struct json_t;

struct api_port {
	const char *protocol;
	const char *host_address;
	const char *state;  /* "" if the daemon does not say */
	uint16_t host_port; /* 0: only the container's own port is opened */
	uint16_t container_port;
	uint64_t connections;
};

struct api_container {
	const char *id, *name;
	const char *address, *public; /* NULL: none */
	const char *answered;         /* on this interface; NULL: not, or the daemon does not say */
	VEC(struct api_port) ports;
};

struct api_text {
	const char *text;
};
struct api_texts {
	VEC_FIELDS(struct api_text);
};

struct api_network {
	const char *id, *name, *bridge, *mode, *reason;
	const char *uplink, *snat, *prefix; /* NULL: none */
	struct api_texts subnets;
	VEC(struct api_container) containers;
};

struct api_uplink {
	const char *interface;
	const char *mac; /* NULL: none */
	bool up;
	struct api_texts prefixes, addresses;
};

struct api_drop {
	const char *reason;
	uint64_t count;
};

struct api_ndp {
	const char *interface;
	uint64_t targets, solicitations, advertisements;
	uint64_t announcements, lost, unicast, dad; /* 0 if the daemon does not say */
	VEC(struct api_drop) drops;
	struct api_texts rules;
};

struct api_problem {
	const char *code, *severity, *message, *cure;
};

struct api_status {
	struct json_t *document;
	const char *version, *state;
	double uptime_s;
	struct {
		const char *host;
		const char *version, *api, *last_sync; /* NULL: not known */
		bool connected;
		uint64_t events;
	} docker;
	struct {
		const char *name;
		uint64_t commits, repairs, elements;
	} backend;
	VEC(struct api_uplink) uplinks;
	VEC(struct api_network) networks;
	VEC(struct api_ndp) ndps;
	VEC(struct api_problem) problems;
};

/* 0, -EBADMSG (not such a document; where and why in error), or -ENOMEM. */
int api_json_status_read(const char *text, size_t n, struct api_status *ret,
			 char error[static API_ERROR_TEXT]);
void api_status_done(struct api_status *s);

/* An api_json_error() document; malloc()ed strings. 0, -EBADMSG or -ENOMEM. */
int api_json_error_read(const char *text, size_t n, char **ret_message, char **ret_cure);

/* A line of GET /v1/events. Strings belong to the document; "" where it has none. */
struct api_event {
	struct json_t *document;
	const char *time; /* RFC 3339, UTC */
	const char *kind, *change, *message, *severity;
};
/* As api_json_status_read(). */
int api_json_event_read(const char *text, size_t n, struct api_event *ret,
			char error[static API_ERROR_TEXT]);
void api_event_done(struct api_event *e);

/* {"key": "value"}; value NULL is null. */
struct api_pair {
	const char *key, *value;
};
/* *ret is malloc()ed. 0 or -ENOMEM. */
int api_json_pairs(const struct api_pair *pairs, size_t n, char **ret);
