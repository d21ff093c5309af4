/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/api-events.h"

#include "api-json-internal.h"
#include "base/own.h"
#include "base/ruleset.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

/* Lines come in this order, so that a network precedes its containers. */
enum kind {
	KIND_ENGINE,
	KIND_CONFIG,
	KIND_UPLINK,
	KIND_NETWORK,
	KIND_CONTAINER,
	KIND_PORT,
	KIND_ADDRESS,
	KIND_PROBLEM,
	KIND_RULESET,
};

struct item {
	enum kind kind;
	char *key; /* what makes it the same one in another picture */
	char *name;
	json_t *object;
};

struct api_picture {
	VEC_FIELDS(struct item); /* sorted */
};

static int item_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->key, y->key);
}

/* ------------------------------------------------------------- a picture */

/* Takes over the object; "format" makes the key. */
_printf_(5, 6) static int add(struct api_picture *p, enum kind kind, const char *name,
			      json_t *object, const char *format, ...)
{
	struct item *i = vec_add(p);
	va_list ap;

	if (!i) {
		json_decref(object);
		return -ENOMEM;
	}
	i->kind = kind;
	i->object = object;
	i->name = strdup(name);
	va_start(ap, format);
	i->key = vformat_text(format, ap);
	va_end(ap);
	return i->object && i->name && i->key ? 0 : -ENOMEM;
}

/* clang-format off */

static int add_engine(struct api_picture *p, const struct engine *e)
{
	const char *host = e->host ? e->host : "";

	return add(p, KIND_ENGINE, host,
		   json_pack("{s:b, s:o, s:o}",
			     "connected", e->connected,
			     "version", api_text_or_null(e->version),
			     "api", api_text_or_null(e->api)),
		   "%s", host);
}

static int add_uplink(struct api_picture *p, const struct status_uplink *u)
{
	return add(p, KIND_UPLINK, u->interface,
		   json_pack("{s:b, s:o, s:o, s:o}",
			     "up", u->up,
			     "mac", api_mac_or_null(u),
			     "prefixes", ENCODE_ARRAY(&u->prefixes, api_prefix),
			     "addresses", ENCODE_ARRAY(&u->addresses, api_address)),
		   "%s", u->interface);
}

static int add_port(struct api_picture *p, const struct status_network *n,
		    const struct status_container *c, const struct status_port *port)
{
	const char *protocol = inet_protocol_name(port->protocol);
	char address[INET_ADDR_TEXT], name[32];

	if (!protocol)
		protocol = "unknown";
	snprintf(name, sizeof(name), "%u/%s",
		 (unsigned)(port->host_port ? port->host_port : port->container_port), protocol);
	return add(p, KIND_PORT, name,
		   json_pack("{s:o, s:o, s:s, s:o, s:i, s:i, s:s}",
			     "network", api_text(n->name),
			     "container", api_text(c->name),
			     "protocol", protocol,
			     "host_address", api_address(&port->host_address),
			     "host_port", (int)port->host_port,
			     "container_port", (int)port->container_port,
			     "state", port_state_to_string(port->state)),
		   "%s/%s/%s/%s/%u/%u", n->id, c->id, protocol,
		   inet_format(&port->host_address, address), port->host_port,
		   port->container_port);
}

static int add_address(struct api_picture *p, const char *interface, const char *address,
		       const char *container)
{
	return add(p, KIND_ADDRESS, address,
		   json_pack("{s:o, s:o}",
			     "interface", api_text(interface),
			     "container", api_text_or_null(container)),
		   "%s/%s", interface, address);
}

static int add_container(struct api_picture *p, const struct status_network *n,
			 const struct status_container *c)
{
	char address[INET_ADDR_TEXT];
	int r;

	r = add(p, KIND_CONTAINER, c->name,
		json_pack("{s:o, s:o, s:o}",
			  "id", api_text(c->id),
			  "network", api_text(n->name),
			  "address", api_address_or_null(&c->address)),
		"%s/%s", n->id, c->id);
	if (r == 0 && c->answered[0])
		r = add_address(p, c->answered, inet_format(&c->address, address), c->name);
	for (size_t i = 0; i < c->ports.n && r == 0; i++)
		r = add_port(p, n, c, &c->ports.items[i]);
	return r;
}

static int add_network(struct api_picture *p, const struct status_network *n)
{
	int r;

	r = add(p, KIND_NETWORK, n->name,
		json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o}",
			  "id", api_text(n->id),
			  "bridge", api_text(n->bridge),
			  "subnets", ENCODE_ARRAY(&n->subnets, api_prefix),
			  "mode", net_mode_to_string(n->mode),
			  "reason", api_text(n->reason),
			  "uplink", api_text_or_null(n->uplink),
			  "snat", api_address_or_null(&n->snat)),
		"%s", n->id);
	for (size_t i = 0; i < n->containers.n && r == 0; i++)
		r = add_container(p, n, &n->containers.items[i]);
	return r;
}

static int add_problem(struct api_picture *p, const struct problem *problem)
{
	const char *code = problem_code_to_string(problem->code);

	return add(p, KIND_PROBLEM, code,
		   json_pack("{s:s, s:s, s:o, s:o}",
			     "code", code,
			     "severity", problem_severity_to_string(problem->severity),
			     "message", api_text(problem->message),
			     "cure", api_text(problem->cure)),
		   "%s/%s", code, problem->message);
}

static int add_ruleset(struct api_picture *p, const struct status *s)
{
	return add(p, KIND_RULESET, RULESET_TABLE,
		   json_pack("{s:s, s:o, s:o, s:o}",
			     "backend", s->backend,
			     "commits", api_count(s->commits),
			     "repairs", api_count(s->repairs),
			     "elements", api_count(s->elements)),
		   RULESET_TABLE);
}

static int add_config(struct api_picture *p, const struct status *s)
{
	return add(p, KIND_CONFIG, "configuration",
		   json_pack("{s:o}", "reads", api_count(s->config_reads)), "configuration");
}

/* clang-format on */

static int add_rules(struct api_picture *p, const struct status_ndp *n)
{
	char prefix[INET_PREFIX_TEXT];
	int r = 0;

	for (size_t i = 0; i < n->rules.n && r == 0; i++)
		r = add_address(p, n->interface, inet_prefix_format(&n->rules.items[i], prefix),
				NULL);
	return r;
}

static int add_problems(struct api_picture *p, const struct problems *problems)
{
	int r = 0;

	for (size_t i = 0; problems && i < problems->n && r == 0; i++)
		r = add_problem(p, &problems->items[i]);
	return r;
}

int api_picture_new(const struct status *s, struct api_picture **ret)
{
	_cleanup_(api_picture_freep) struct api_picture *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = add_engine(p, s->engine);
	if (r == 0)
		r = add_config(p, s);
	if (r == 0)
		r = add_ruleset(p, s);
	for (size_t i = 0; i < s->uplinks->n && r == 0; i++)
		r = add_uplink(p, &s->uplinks->items[i]);
	for (size_t i = 0; i < s->networks->n && r == 0; i++)
		r = add_network(p, &s->networks->items[i]);
	for (size_t i = 0; s->ndp && i < s->ndp->n && r == 0; i++)
		r = add_rules(p, &s->ndp->items[i]);
	for (size_t i = 0; i < N_ELEMENTS(s->problems) && r == 0; i++)
		r = add_problems(p, s->problems[i]);
	if (r < 0)
		return r;
	vec_sort(p, item_compare);
	*ret = steal_ptr(&p);
	return 0;
}

struct api_picture *api_picture_free(struct api_picture *p)
{
	if (!p)
		return NULL;
	vec_foreach (i, p) {
		free(i->key);
		free(i->name);
		json_decref(i->object);
	}
	vec_done(p);
	free(p);
	return NULL;
}

/* -------------------------------------------------------------- in words */

static const char *string_of(const struct item *i, const char *key)
{
	const char *s = json_string_value(json_object_get(i->object, key));

	return s ? s : "?";
}

static long long number_of(const struct item *i, const char *key)
{
	return json_integer_value(json_object_get(i->object, key));
}

static bool is_true(const struct item *i, const char *key)
{
	return json_is_true(json_object_get(i->object, key));
}

static void describe_port(FILE *f, const struct item *i)
{
	if (number_of(i, "host_port") == 0)
		fprintf(f, "port %s of container %s in network %s (%s)", i->name,
			string_of(i, "container"), string_of(i, "network"), string_of(i, "state"));
	else
		fprintf(f, "port %s of %s leads to container %s, port %lld, in network %s (%s)",
			i->name, string_of(i, "host_address"), string_of(i, "container"),
			number_of(i, "container_port"), string_of(i, "network"),
			string_of(i, "state"));
}

/* What is so now. */
static void describe(FILE *f, const struct item *i)
{
	switch (i->kind) {
	case KIND_ENGINE:
		fprintf(f,
			is_true(i, "connected") ? "connected to Docker %s at %s"
						: "no connection to Docker %s at %s",
			string_of(i, "version"), i->name);
		break;
	case KIND_CONFIG:
		fputs("the configuration was read", f);
		break;
	case KIND_UPLINK:
		fprintf(f, "uplink %s is %s", i->name, is_true(i, "up") ? "up" : "down");
		break;
	case KIND_NETWORK:
		fprintf(f, "network %s: mode %s, %s", i->name, string_of(i, "mode"),
			string_of(i, "reason"));
		break;
	case KIND_CONTAINER:
		fprintf(f, "container %s in network %s: %s", i->name, string_of(i, "network"),
			string_of(i, "address"));
		break;
	case KIND_PORT:
		describe_port(f, i);
		break;
	case KIND_ADDRESS:
		fprintf(f, "%s is answered on %s", i->name, string_of(i, "interface"));
		break;
	case KIND_PROBLEM:
		fprintf(f, "%s: %s", string_of(i, "severity"), string_of(i, "message"));
		break;
	case KIND_RULESET:
		fprintf(f, "ruleset: %lld elements, %lld commits, %lld repairs",
			number_of(i, "elements"), number_of(i, "commits"), number_of(i, "repairs"));
		break;
	}
}

static void describe_end(FILE *f, const struct item *i)
{
	if (i->kind == KIND_PROBLEM)
		fprintf(f, "solved: %s", string_of(i, "message"));
	else if (i->kind == KIND_ADDRESS)
		fprintf(f, "%s is no longer answered on %s", i->name, string_of(i, "interface"));
	else {
		fputs("gone: ", f);
		describe(f, i);
	}
}

static void describe_was(FILE *f, json_t *was)
{
	const char *separator = " (was: ", *key;
	json_t *value;

	json_object_foreach (was, key, value) {
		_cleanup_(freep) char *text =
			json_is_string(value) ? strdup(json_string_value(value))
					      : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

		fprintf(f, "%s%s %s", separator, key, text ? text : "?");
		separator = ", ";
	}
	fputs(")", f);
}

static char *words(const struct item *i, bool is_gone, json_t *was)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return NULL;
	if (is_gone)
		describe_end(f, i);
	else
		describe(f, i);
	if (was)
		describe_was(f, was);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ----------------------------------------------------------------- lines */

static const char *kind_name(enum kind k)
{
	static const char *const names[] = {
		[KIND_ENGINE] = "engine",       [KIND_CONFIG] = "config",
		[KIND_UPLINK] = "uplink",       [KIND_NETWORK] = "network",
		[KIND_CONTAINER] = "container", [KIND_PORT] = "port",
		[KIND_ADDRESS] = "address",     [KIND_PROBLEM] = "problem",
		[KIND_RULESET] = "ruleset",
	};

	return names[k];
}

/* RFC 3339, UTC, milliseconds. */
static json_t *time_text(uint64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	char buffer[32], text[40];
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    strftime(buffer, sizeof(buffer), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return json_null();
	snprintf(text, sizeof(text), "%s.%03uZ", buffer, (unsigned)(time_us / 1000 % 1000));
	return json_string(text);
}

/* Writes the object, which it takes over, as one line. */
static int write_line(FILE *f, json_t *line)
{
	int r = line && json_dumpf(line, f, JSON_COMPACT) == 0 && fputc('\n', f) != EOF ? 0
											: -ENOMEM;

	json_decref(line);
	return r;
}

/* The keys that differ, as they were. NULL without memory. */
static json_t *differences(json_t *before, json_t *after)
{
	json_t *was = json_object(), *value;
	const char *key;

	json_object_foreach (before, key, value)
		if (!json_equal(value, json_object_get(after, key)) &&
		    json_object_set(was, key, value) < 0) {
			json_decref(was);
			return NULL;
		}
	return was;
}

/* before or after is NULL where the object was added or removed. */
static int write_change(FILE *f, const struct item *before, const struct item *after,
			uint64_t time_us)
{
	const struct item *now = after ? after : before;
	json_t *was = before && after ? differences(before->object, after->object) : NULL;
	_cleanup_(freep) char *message = NULL;
	json_t *line;

	assert(now);
	message = words(now, !after, was);
	if (!message || (before && after && !was)) {
		json_decref(was);
		return -ENOMEM;
	}
	line = json_pack("{s:o, s:s, s:s, s:o}", "time", time_text(time_us), "kind",
			 kind_name(now->kind), "change",
			 !before  ? "added"
			 : !after ? "removed"
				  : "changed",
			 "name", api_text(now->name));
	/* A problem brings its own message, which ours contains. */
	if (!line || json_object_update(line, now->object) < 0 ||
	    json_object_set_new(line, "message", api_text(message)) < 0 ||
	    (was && json_object_set(line, "was", was) < 0)) {
		json_decref(line);
		line = NULL;
	}
	json_decref(was);
	return write_line(f, line);
}

static int write_changes(FILE *f, const struct api_picture *before, const struct api_picture *after,
			 uint64_t time_us)
{
	size_t b = 0, a = 0;
	int r = 0;

	while (r == 0 && (b < before->n || a < after->n)) {
		const struct item *x = b < before->n ? &before->items[b] : NULL;
		const struct item *y = a < after->n ? &after->items[a] : NULL;
		int order = !x ? 1 : !y ? -1 : item_compare(x, y);

		if (order < 0)
			r = write_change(f, x, NULL, time_us);
		else if (order > 0)
			r = write_change(f, NULL, y, time_us);
		else if (!json_equal(x->object, y->object))
			r = write_change(f, x, y, time_us);
		b += order <= 0;
		a += order >= 0;
	}
	return r;
}

int api_events(const struct api_picture *before, const struct api_picture *after, uint64_t time_us,
	       char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	int r;

	if (!f)
		return -ENOMEM;
	r = write_changes(f, before, after, time_us);
	if (fclose(f) != 0 || r < 0)
		return -ENOMEM;
	*ret = steal_ptr(&text);
	return 0;
}

static int one_line(json_t *line, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	int r;

	if (!f) {
		json_decref(line);
		return -ENOMEM;
	}
	r = write_line(f, line);
	if (fclose(f) != 0 || r < 0)
		return -ENOMEM;
	*ret = steal_ptr(&text);
	return 0;
}

int api_events_hello(const struct status *s, uint64_t time_us, char **ret)
{
	return one_line(json_pack("{s:o, s:s, s:s, s:s+, s:s, s:s}", "time", time_text(time_us),
				  "kind", "hello", "name", "ipv6natd", "message",
				  "following changes of ipv6natd ", s->version, "version",
				  s->version, "state", s->state),
			ret);
}

int api_events_lost(uint64_t lost, uint64_t time_us, char **ret)
{
	_cleanup_(freep) char *message = NULL;

	if (asprintf(&message, "%llu changes were lost: the reader is too slow",
		     (unsigned long long)lost) < 0) {
		message = NULL;
		return -ENOMEM;
	}
	return one_line(json_pack("{s:o, s:s, s:s, s:s, s:o}", "time", time_text(time_us), "kind",
				  "lost", "name", "ipv6natd", "message", message, "lost",
				  api_count(lost)),
			ret);
}
