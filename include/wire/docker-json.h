/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The engine's JSON -> facts (jansson). Untrusted and bounded: names and label values over
 * DOCKER_TEXT_MAX and nesting over DOCKER_DEPTH_MAX are refused. Decoders return 0, -EBADMSG
 * (not what the API promises; *ret_why says what, static text), -E2BIG (beyond our bounds; same)
 * or -ENOMEM, and leave *ret untouched on failure. In lists, one bad object is skipped and
 * counted (*ret_skipped), the rest goes on.
 */
#include "base/facts.h"

#define DOCKER_ANSWER_MAX (64U << 20) /* bytes of one answer, or of one line of the event stream */
#define DOCKER_TEXT_MAX (64U << 10)   /* bytes of one name, label or option value */
#define DOCKER_DEPTH_MAX 64

struct containers {
	VEC_FIELDS(struct container);
};
struct networks {
	VEC_FIELDS(struct network);
};

int docker_json_version(const char *text, size_t length, struct engine *engine,
			const char **ret_why);
/* GET /info: experimental, rootless. */
int docker_json_info(const char *text, size_t length, struct engine *engine, const char **ret_why);
int docker_json_container(const char *text, size_t length, struct container *ret,
			  const char **ret_why);
int docker_json_containers(const char *text, size_t length, struct containers *ret,
			   unsigned *ret_skipped, const char **ret_why);
int docker_json_network(const char *text, size_t length, struct network *ret, const char **ret_why);
int docker_json_networks(const char *text, size_t length, struct networks *ret,
			 unsigned *ret_skipped, const char **ret_why);

enum docker_event_type {
	DOCKER_EVENT_OTHER,
	DOCKER_EVENT_CONTAINER,
	DOCKER_EVENT_NETWORK,
	DOCKER_EVENT_DAEMON,
};

struct docker_event {
	enum docker_event_type type;
	char action[32];
	char id[DOCKER_ID_LENGTH + 1];        /* of the actor; "" if none */
	char container[DOCKER_ID_LENGTH + 1]; /* network connect and disconnect */
	uint64_t time_ns;
};
/* One line of GET /events, without RFC 7464's record separator. */
int docker_json_event(const char *text, size_t length, struct docker_event *ret,
		      const char **ret_why);
/* "message" of an error answer, cut to size; "" if there is none. */
void docker_json_error(const char *text, size_t length, char *ret, size_t size);

void containers_done(struct containers *c);
void networks_done(struct networks *n);
