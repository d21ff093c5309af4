/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/api-json-read.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

/* Keeps the place of the first mistake while the walk goes on returning errors. */
struct reader {
	char *error; /* API_ERROR_TEXT bytes */
};

static int bad(struct reader *r, const char *what, const char *why)
{
	if (r->error[0] == '\0')
		snprintf(r->error, API_ERROR_TEXT, "%s: %s", what, why);
	return -EBADMSG;
}

static int unpack_result(struct reader *r, const char *what, int result, const json_error_t *e)
{
	return result < 0 ? bad(r, what, e->text) : 0;
}

static int get_count(struct reader *r, const char *what, json_int_t value, uint64_t *ret)
{
	if (value < 0)
		return bad(r, what, "negative number");
	*ret = (uint64_t)value;
	return 0;
}

static int get_port_number(struct reader *r, const char *what, json_int_t value, uint16_t *ret)
{
	if (value < 0 || value > UINT16_MAX)
		return bad(r, what, "no port number");
	*ret = (uint16_t)value;
	return 0;
}

/* The key has to be there, and to be a string or null. */
static int get_nullable(struct reader *r, const json_t *object, const char *key, const char **ret)
{
	const json_t *j = json_object_get(object, key);

	if (json_is_null(j))
		*ret = NULL;
	else if (json_is_string(j))
		*ret = json_string_value(j);
	else
		return bad(r, key, "neither string nor null");
	return 0;
}

static int read_texts(struct reader *r, const char *what, json_t *array, struct api_texts *ret)
{
	struct api_text *t;
	size_t i;
	json_t *j;

	if (!json_is_array(array))
		return bad(r, what, "no array");
	json_array_foreach (array, i, j) {
		if (!json_is_string(j))
			return bad(r, what, "no string");
		t = vec_add(ret);
		if (!t)
			return -ENOMEM;
		t->text = json_string_value(j);
	}
	return 0;
}

/* Defines NAMEs(): reads an array into a vector with NAME(). */
#define DEFINE_READ_ARRAY(name, what, vector_of)                             \
	static int read_##name##s(struct reader *r, json_t *array,           \
				  typeof(((vector_of *)NULL)->name##s) *ret) \
	{                                                                    \
		size_t i;                                                    \
		json_t *j;                                                   \
                                                                             \
		if (!json_is_array(array))                                   \
			return bad(r, what, "no array");                     \
		json_array_foreach (array, i, j) {                           \
			typeof(ret->items) item = vec_add(ret);              \
			int result;                                          \
                                                                             \
			if (!item)                                           \
				return -ENOMEM;                              \
			result = read_##name(r, j, item);                    \
			if (result < 0)                                      \
				return result;                               \
		}                                                            \
		return 0;                                                    \
	}

static int read_port(struct reader *r, json_t *j, struct api_port *ret)
{
	json_int_t host_port, container_port, connections;
	json_error_t e;
	int result;

	ret->state = "";
	result = json_unpack_ex(j, &e, 0, "{s:s, s:s, s:I, s:I, s:I, s?s}", "protocol",
				&ret->protocol, "host_address", &ret->host_address, "host_port",
				&host_port, "container_port", &container_port, "connections",
				&connections, "state", &ret->state);
	result = unpack_result(r, "port", result, &e);
	if (result == 0)
		result = get_port_number(r, "host_port", host_port, &ret->host_port);
	if (result == 0)
		result = get_port_number(r, "container_port", container_port, &ret->container_port);
	if (result == 0)
		result = get_count(r, "connections", connections, &ret->connections);
	return result;
}

DEFINE_READ_ARRAY(port, "ports", struct api_container)

static int read_container(struct reader *r, json_t *j, struct api_container *ret)
{
	json_error_t e;
	json_t *ports;
	int result;

	result = json_unpack_ex(j, &e, 0, "{s:s, s:s, s:o}", "id", &ret->id, "name", &ret->name,
				"ports", &ports);
	result = unpack_result(r, "container", result, &e);
	if (result == 0)
		result = get_nullable(r, j, "address", &ret->address);
	if (result == 0)
		result = get_nullable(r, j, "public", &ret->public);
	if (result == 0 && json_object_get(j, "answered"))
		result = get_nullable(r, j, "answered", &ret->answered);
	if (result == 0)
		result = read_ports(r, ports, &ret->ports);
	return result;
}

DEFINE_READ_ARRAY(container, "containers", struct api_network)

static int read_network(struct reader *r, json_t *j, struct api_network *ret)
{
	json_t *subnets, *containers;
	json_error_t e;
	int result;

	result = json_unpack_ex(j, &e, 0, "{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "id", &ret->id,
				"name", &ret->name, "bridge", &ret->bridge, "mode", &ret->mode,
				"reason", &ret->reason, "subnets", &subnets, "containers",
				&containers);
	result = unpack_result(r, "network", result, &e);
	if (result == 0)
		result = get_nullable(r, j, "uplink", &ret->uplink);
	if (result == 0)
		result = get_nullable(r, j, "snat", &ret->snat);
	if (result == 0)
		result = get_nullable(r, j, "prefix", &ret->prefix);
	if (result == 0)
		result = read_texts(r, "subnets", subnets, &ret->subnets);
	if (result == 0)
		result = read_containers(r, containers, &ret->containers);
	return result;
}

static int read_uplink(struct reader *r, json_t *j, struct api_uplink *ret)
{
	json_t *prefixes, *addresses;
	json_error_t e;
	int result, up;

	result = json_unpack_ex(j, &e, 0, "{s:s, s:b, s:o, s:o}", "interface", &ret->interface,
				"up", &up, "prefixes", &prefixes, "addresses", &addresses);
	result = unpack_result(r, "uplink", result, &e);
	if (result < 0)
		return result;
	ret->up = up;
	result = get_nullable(r, j, "mac", &ret->mac);
	if (result == 0)
		result = read_texts(r, "prefixes", prefixes, &ret->prefixes);
	if (result == 0)
		result = read_texts(r, "addresses", addresses, &ret->addresses);
	return result;
}

static int read_drops(struct reader *r, json_t *object, struct api_ndp *ret)
{
	const char *reason;
	json_t *j;

	if (!json_is_object(object))
		return bad(r, "dropped", "no object");
	json_object_foreach (object, reason, j) {
		struct api_drop *d;
		int result;

		if (!json_is_integer(j))
			return bad(r, "dropped", "no number");
		d = vec_add(&ret->drops);
		if (!d)
			return -ENOMEM;
		d->reason = reason;
		result = get_count(r, "dropped", json_integer_value(j), &d->count);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_ndp(struct reader *r, json_t *j, struct api_ndp *ret)
{
	static const char *const names[] = {
		"targets", "solicitations", "advertisements", "announcements", "lost", "unicast",
		"dad"
	};
	uint64_t *const fields[] = { &ret->targets,
				     &ret->solicitations,
				     &ret->advertisements,
				     &ret->announcements,
				     &ret->lost,
				     &ret->unicast,
				     &ret->dad };
	json_int_t n[N_ELEMENTS(names)] = { 0 };
	json_t *drops, *rules = NULL;
	json_error_t e;
	int result;

	static_assert(N_ELEMENTS(names) == N_ELEMENTS(fields), "a field for each name");
	result = json_unpack_ex(j, &e, 0, "{s:s, s:I, s:I, s:I, s:o, s?I, s?I, s?I, s?I, s?o}",
				"interface", &ret->interface, names[0], &n[0], names[1], &n[1],
				names[2], &n[2], "dropped", &drops, names[3], &n[3], names[4],
				&n[4], names[5], &n[5], names[6], &n[6], "rules", &rules);
	result = unpack_result(r, "ndp", result, &e);
	for (size_t i = 0; i < N_ELEMENTS(names) && result == 0; i++)
		result = get_count(r, names[i], n[i], fields[i]);
	if (result == 0)
		result = read_drops(r, drops, ret);
	if (result == 0 && rules)
		result = read_texts(r, "rules", rules, &ret->rules);
	return result;
}

static int read_problem(struct reader *r, json_t *j, struct api_problem *ret)
{
	json_error_t e;

	return unpack_result(r, "problem",
			     json_unpack_ex(j, &e, 0, "{s:s, s:s, s:s, s:s}", "code", &ret->code,
					    "severity", &ret->severity, "message", &ret->message,
					    "cure", &ret->cure),
			     &e);
}

DEFINE_READ_ARRAY(network, "networks", struct api_status)
DEFINE_READ_ARRAY(uplink, "uplinks", struct api_status)
DEFINE_READ_ARRAY(ndp, "ndp", struct api_status)
DEFINE_READ_ARRAY(problem, "problems", struct api_status)

static int read_docker(struct reader *r, json_t *j, struct api_status *ret)
{
	json_int_t events;
	json_error_t e;
	int result, connected;

	result = json_unpack_ex(j, &e, 0, "{s:s, s:b, s:I}", "host", &ret->docker.host, "connected",
				&connected, "events", &events);
	result = unpack_result(r, "docker", result, &e);
	if (result < 0)
		return result;
	ret->docker.connected = connected;
	result = get_count(r, "events", events, &ret->docker.events);
	if (result == 0)
		result = get_nullable(r, j, "version", &ret->docker.version);
	if (result == 0)
		result = get_nullable(r, j, "api", &ret->docker.api);
	if (result == 0)
		result = get_nullable(r, j, "last_sync", &ret->docker.last_sync);
	return result;
}

static int read_backend(struct reader *r, json_t *j, struct api_status *ret)
{
	json_int_t commits, repairs, elements;
	json_error_t e;
	int result;

	result = json_unpack_ex(j, &e, 0, "{s:s, s:I, s:I, s:I}", "name", &ret->backend.name,
				"commits", &commits, "repairs", &repairs, "elements", &elements);
	result = unpack_result(r, "backend", result, &e);
	if (result == 0)
		result = get_count(r, "commits", commits, &ret->backend.commits);
	if (result == 0)
		result = get_count(r, "repairs", repairs, &ret->backend.repairs);
	if (result == 0)
		result = get_count(r, "elements", elements, &ret->backend.elements);
	return result;
}

static int read_status(struct reader *r, json_t *j, struct api_status *ret)
{
	json_t *docker, *backend, *uplinks, *networks, *ndps, *problems;
	json_error_t e;
	int result;

	result =
		json_unpack_ex(j, &e, 0, "{s:s, s:s, s:F, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
			       &ret->version, "state", &ret->state, "uptime_s", &ret->uptime_s,
			       "docker", &docker, "backend", &backend, "uplinks", &uplinks,
			       "networks", &networks, "ndp", &ndps, "problems", &problems);
	result = unpack_result(r, "status", result, &e);
	if (result == 0)
		result = read_docker(r, docker, ret);
	if (result == 0)
		result = read_backend(r, backend, ret);
	if (result == 0)
		result = read_uplinks(r, uplinks, &ret->uplinks);
	if (result == 0)
		result = read_networks(r, networks, &ret->networks);
	if (result == 0)
		result = read_ndps(r, ndps, &ret->ndps);
	if (result == 0)
		result = read_problems(r, problems, &ret->problems);
	return result;
}

int api_json_status_read(const char *text, size_t n, struct api_status *ret,
			 char error[static API_ERROR_TEXT])
{
	struct api_status s = { 0 };
	struct reader r = { .error = error };
	json_error_t e;
	int result;

	error[0] = '\0';
	s.document = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
	if (!s.document)
		return bad(&r, "JSON", e.text);
	result = read_status(&r, s.document, &s);
	if (result < 0) {
		api_status_done(&s);
		return result;
	}
	*ret = s;
	return 0;
}

void api_status_done(struct api_status *s)
{
	vec_foreach (u, &s->uplinks) {
		vec_done(&u->prefixes);
		vec_done(&u->addresses);
	}
	vec_done(&s->uplinks);
	vec_foreach (n, &s->networks) {
		vec_done(&n->subnets);
		vec_foreach (c, &n->containers)
			vec_done(&c->ports);
		vec_done(&n->containers);
	}
	vec_done(&s->networks);
	vec_foreach (n, &s->ndps) {
		vec_done(&n->drops);
		vec_done(&n->rules);
	}
	vec_done(&s->ndps);
	vec_done(&s->problems);
	json_decref(s->document);
	*s = (struct api_status){ 0 };
}

int api_json_error_read(const char *text, size_t n, char **ret_message, char **ret_cure)
{
	_cleanup_(freep) char *message = NULL, *cure = NULL;
	const char *m, *c = "";
	json_t *j = json_loadb(text, n, 0, NULL);

	if (json_unpack(j, "{s:s, s?s}", "error", &m, "cure", &c) < 0) {
		json_decref(j);
		return -EBADMSG;
	}
	message = strdup(m);
	cure = strdup(c);
	json_decref(j);
	if (!message || !cure)
		return -ENOMEM;
	*ret_message = steal_ptr(&message);
	*ret_cure = steal_ptr(&cure);
	return 0;
}

/* A key that only some kinds of events have. */
static const char *string_or_empty(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int api_json_event_read(const char *text, size_t n, struct api_event *ret,
			char error[static API_ERROR_TEXT])
{
	struct api_event event = { 0 };
	struct reader r = { .error = error };
	json_error_t e;
	int result;

	error[0] = '\0';
	event.document = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
	if (!event.document)
		return bad(&r, "JSON", e.text);
	result = json_unpack_ex(event.document, &e, 0, "{s:s, s:s, s:s}", "time", &event.time,
				"kind", &event.kind, "message", &event.message);
	result = unpack_result(&r, "event", result, &e);
	if (result < 0) {
		api_event_done(&event);
		return result;
	}
	event.change = string_or_empty(event.document, "change");
	event.severity = string_or_empty(event.document, "severity");
	*ret = event;
	return 0;
}

void api_event_done(struct api_event *e)
{
	json_decref(e->document);
	*e = (struct api_event){ 0 };
}

int api_json_pairs(const struct api_pair *pairs, size_t n, char **ret)
{
	json_t *object = json_object();
	char *text = NULL;
	bool ok = object;

	for (size_t i = 0; i < n && ok; i++)
		ok = json_object_set_new(object, pairs[i].key,
					 pairs[i].value ? json_string(pairs[i].value)
							: json_null()) == 0;
	if (ok)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}
