/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DESIGN section 6 is the document's definition; keys are written in its order. */
#include "wire/api-json.h"

#include "api-json-internal.h"
#include "base/own.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* More than enough for seconds, and no digits that come from binary fractions. */
#define REAL_DIGITS 15

json_t *api_text(const char *s)
{
	_cleanup_(freep) char *ascii = NULL;
	json_t *j = json_string(s);

	if (j)
		return j;
	ascii = strdup(s);
	if (!ascii)
		return NULL;
	for (char *p = ascii; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(ascii);
}

json_t *api_text_or_null(const char *s)
{
	return s && s[0] != '\0' ? api_text(s) : json_null();
}

json_t *api_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *api_address(const struct in6_addr *a)
{
	char buffer[INET_ADDR_TEXT];

	return json_string(inet_format(a, buffer));
}

json_t *api_address_or_null(const struct in6_addr *a)
{
	return inet_is_zero(a) ? json_null() : api_address(a);
}

json_t *api_prefix(const struct inet_prefix *p)
{
	char buffer[INET_PREFIX_TEXT];

	return json_string(inet_prefix_format(p, buffer));
}

json_t *api_mac_or_null(const struct status_uplink *u)
{
	const uint8_t *m = u->mac;
	char buffer[18];

	if (!u->has_mac)
		return json_null();
	snprintf(buffer, sizeof(buffer), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
		 m[4], m[5]);
	return json_string(buffer);
}

/* RFC 3339, UTC. */
static json_t *time_or_null(uint64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	char buffer[32];
	struct tm tm;

	if (time_us == 0 || !gmtime_r(&seconds, &tm) ||
	    strftime(buffer, sizeof(buffer), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(buffer);
}

/* clang-format off */

static json_t *encode_docker(const struct engine *e)
{
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}",
			 "host", api_text(e->host ? e->host : ""),
			 "connected", e->connected,
			 "version", api_text_or_null(e->version),
			 "api", api_text_or_null(e->api),
			 "events", api_count(e->events),
			 "last_sync", time_or_null(e->last_sync_us));
}

static json_t *encode_backend(const struct status *s)
{
	return json_pack("{s:o, s:o, s:o, s:o}",
			 "name", api_text(s->backend),
			 "commits", api_count(s->commits),
			 "repairs", api_count(s->repairs),
			 "elements", api_count(s->elements));
}

static json_t *encode_uplink(const struct status_uplink *u)
{
	return json_pack("{s:o, s:b, s:o, s:o, s:o}",
			 "interface", api_text(u->interface),
			 "up", u->up,
			 "mac", api_mac_or_null(u),
			 "prefixes", ENCODE_ARRAY(&u->prefixes, api_prefix),
			 "addresses", ENCODE_ARRAY(&u->addresses, api_address));
}

static json_t *encode_port(const struct status_port *p)
{
	const char *protocol = inet_protocol_name(p->protocol);

	return json_pack("{s:s, s:o, s:i, s:i, s:o, s:s}",
			 "protocol", protocol ? protocol : "unknown",
			 "host_address", api_address(&p->host_address),
			 "host_port", (int)p->host_port,
			 "container_port", (int)p->container_port,
			 "connections", api_count(p->connections),
			 "state", port_state_to_string(p->state));
}

static json_t *encode_container(const struct status_container *c)
{
	return json_pack("{s:o, s:o, s:o, s:n, s:o, s:o}",
			 "id", api_text(c->id),
			 "name", api_text(c->name),
			 "address", api_address_or_null(&c->address),
			 "public",
			 "answered", api_text_or_null(c->answered),
			 "ports", ENCODE_ARRAY(&c->ports, encode_port));
}

static json_t *encode_network(const struct status_network *n)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:n, s:o}",
			 "id", api_text(n->id),
			 "name", api_text(n->name),
			 "bridge", api_text(n->bridge),
			 "subnets", ENCODE_ARRAY(&n->subnets, api_prefix),
			 "mode", net_mode_to_string(n->mode),
			 "reason", api_text(n->reason),
			 "uplink", api_text_or_null(n->uplink),
			 "snat", api_address_or_null(&n->snat),
			 "prefix",
			 "containers", ENCODE_ARRAY(&n->containers, encode_container));
}

/* Only the reasons that there were. */
static json_t *encode_drops(const struct ndp_counters *c)
{
	json_t *object = json_object();

	for (unsigned i = NDP_DROP_NONE + 1; i < _NDP_DROP_MAX; i++)
		if (c->dropped[i] > 0 &&
		    json_object_set_new(object, ndp_drop_to_string(i), api_count(c->dropped[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static json_t *encode_ndp(const struct status_ndp *n)
{
	const struct ndp_counters *c = &n->counters;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "interface", api_text(n->interface),
			 "targets", api_count(n->targets),
			 "solicitations", api_count(c->solicitations),
			 "advertisements", api_count(c->advertisements),
			 "dropped", encode_drops(c),
			 "announcements", api_count(c->announcements),
			 "lost", api_count(c->lost),
			 "unicast", api_count(c->unicast),
			 "dad", api_count(c->dad),
			 "rules", ENCODE_ARRAY(&n->rules, api_prefix));
}

static json_t *encode_problem(const struct problem *p)
{
	return json_pack("{s:s, s:s, s:o, s:o}",
			 "code", problem_code_to_string(p->code),
			 "severity", problem_severity_to_string(p->severity),
			 "message", api_text(p->message),
			 "cure", api_text(p->cure));
}

/* clang-format on */

static json_t *encode_problems(const struct status *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < N_ELEMENTS(s->problems); i++) {
		if (!s->problems[i])
			continue;
		vec_foreach (p, s->problems[i])
			if (json_array_append_new(array, encode_problem(p)) < 0) {
				json_decref(array);
				return NULL;
			}
	}
	return array;
}

/* Takes over the document. */
static int dump(json_t *document, char **ret)
{
	char *s;

	if (!document)
		return -ENOMEM;
	s = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS));
	json_decref(document);
	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

int api_json_status(const struct status *s, char **ret)
{
	/* Milliseconds will do. */
	double uptime_s = (double)(uint64_t)(s->uptime_s * 1000) / 1000;

	/* clang-format off */
	return dump(json_pack("{s:o, s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:o}",
			      "version", api_text(s->version),
			      "state", s->state,
			      "uptime_s", uptime_s,
			      "docker", encode_docker(s->engine),
			      "backend", encode_backend(s),
			      "uplinks", ENCODE_ARRAY(s->uplinks, encode_uplink),
			      "networks", ENCODE_ARRAY(s->networks, encode_network),
			      "ndp", s->ndp ? ENCODE_ARRAY(s->ndp, encode_ndp) : json_array(),
			      "problems", encode_problems(s)),
		    ret);
	/* clang-format on */
}

int api_json_error(const char *message, const char *cure, char **ret)
{
	return dump(json_pack("{s:o, s:o}", "error", api_text(message), "cure", api_text(cure)),
		    ret);
}
