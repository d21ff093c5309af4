/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* What the decoders of the engine's objects share. */
#include "base/own.h"
#include "wire/docker-json.h"

#include <jansson.h>

/* Parses one document, within bounds. */
int docker_json_load(const char *text, size_t length, json_t **ret, const char **ret_why);

static inline int docker_json_bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* The member of that name; NULL if it is absent or null. */
json_t *docker_json_get(const json_t *object, const char *key);
/* Copies a string; absent is "". Control characters become '?', so that it can be printed. */
int docker_json_text(const json_t *value, char **ret, const char **ret_why);
/* A flag; absent is false. */
int docker_json_flag(const json_t *value, bool *ret, const char **ret_why);
/* A number, whether or not it was too big for 64 bits somewhere in the document. */
int docker_json_integer(const json_t *value, int64_t *ret, const char **ret_why);
/* The string members of an object whose names begin with one of the prefixes, sorted. */
int docker_json_key_values(const json_t *object, const char *const prefixes[],
			   struct key_values *ret, const char **ret_why);

/* 64 hex digits: containers, and networks of local scope. */
bool docker_json_id_is_valid(const char *id);
/* These, or the shorter base-36 ids of swarm networks. */
bool docker_json_network_id_is_valid(const char *id);

int docker_json_container_value(const json_t *object, struct container *ret, const char **ret_why);
int docker_json_network_value(const json_t *object, struct network *ret, const char **ret_why);
