/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/docker-json.h"

#include "wire/docker-json-private.h"

#include <ctype.h>
#include <stdio.h>

/* What jansson makes of one value is about a hundred bytes: this bounds its memory, where the
 * bound on the text alone (three bytes per value) would not. 10,000 containers need a million. */
#define DOCKER_VALUES_MAX (4U << 20)

struct scan {
	unsigned depth;
	size_t n_values;
	bool has_nul; /* an escaped NUL somewhere in a string */
};

/* Skips a string that begins at *i; leaves *i at its closing quote, or at the end. */
static void scan_string(const char *text, size_t length, size_t *i, struct scan *s)
{
	for (++*i; *i < length && text[*i] != '"'; ++*i) {
		if (text[*i] != '\\')
			continue;
		++*i;
		if (length - *i >= 5 && memcmp(text + *i, "u0000", 5) == 0)
			s->has_nul = true;
	}
}

/* Bounds are checked before the parser builds (and recurses into) anything. */
static int scan_text(const char *text, size_t length, struct scan *ret, const char **ret_why)
{
	struct scan s = {};

	for (size_t i = 0; i < length; i++)
		switch (text[i]) {
		case '"':
			scan_string(text, length, &i, &s);
			break;
		case '{':
		case '[':
			if (++s.depth > DOCKER_DEPTH_MAX) {
				*ret_why = "nested too deeply";
				return -E2BIG;
			}
			s.n_values++;
			break;
		case '}':
		case ']':
			/* Unbalanced: the parser will say so. */
			s.depth -= s.depth > 0;
			break;
		case ',':
			s.n_values++;
			break;
		}
	if (s.n_values > DOCKER_VALUES_MAX) {
		*ret_why = "too many values";
		return -E2BIG;
	}
	*ret = s;
	return 0;
}

/* jansson refuses a whole document for one NUL in one label; whoever may set a label must not be
 * able to hide everybody's containers. */
static char *without_nul(const char *text, size_t length)
{
	char *copy = malloc(length + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	for (size_t i = 0; i + 1 < length; i++)
		if (copy[i] == '\\') {
			i++;
			if (length - i >= 5 && memcmp(copy + i, "u0000", 5) == 0)
				memcpy(copy + i, "u003f", 5);
		}
	return copy;
}

int docker_json_load(const char *text, size_t length, json_t **ret, const char **ret_why)
{
	_cleanup_(freep) char *copy = NULL;
	json_error_t error;
	struct scan scan;
	json_t *value;
	int r;

	if (length > DOCKER_ANSWER_MAX) {
		*ret_why = "too long";
		return -E2BIG;
	}
	r = scan_text(text, length, &scan, ret_why);
	if (r < 0)
		return r;
	if (scan.has_nul) {
		copy = without_nul(text, length);
		if (!copy)
			return -ENOMEM;
		text = copy;
	}

	value = json_loadb(text, length, 0, &error);
	/* Engine 29 counts the free addresses of an IPv6 subnet: more than 63 bits. */
	if (!value && json_error_code(&error) == json_error_numeric_overflow)
		value = json_loadb(text, length, JSON_DECODE_INT_AS_REAL, &error);
	if (!value) {
		if (json_error_code(&error) == json_error_out_of_memory)
			return -ENOMEM;
		return docker_json_bad(ret_why, "not JSON");
	}
	*ret = value;
	return 0;
}

json_t *docker_json_get(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

int docker_json_text(const json_t *value, char **ret, const char **ret_why)
{
	char *copy;

	if (value && !json_is_string(value))
		return docker_json_bad(ret_why, "not a string where one belongs");
	if (value && json_string_length(value) > DOCKER_TEXT_MAX) {
		*ret_why = "a name, label or option is too long";
		return -E2BIG;
	}
	copy = strdup(value ? json_string_value(value) : "");
	if (!copy)
		return -ENOMEM;
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	*ret = copy;
	return 0;
}

int docker_json_flag(const json_t *value, bool *ret, const char **ret_why)
{
	if (value && !json_is_boolean(value))
		return docker_json_bad(ret_why, "not a boolean where one belongs");
	*ret = json_is_true(value);
	return 0;
}

int docker_json_integer(const json_t *value, int64_t *ret, const char **ret_why)
{
	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return 0;
	}
	/* 2^63 itself does not fit: compare before the conversion, which is undefined then. */
	if (json_is_real(value) && json_real_value(value) < 0x1p63 &&
	    json_real_value(value) >= -0x1p63) {
		*ret = (int64_t)json_real_value(value);
		return 0;
	}
	return docker_json_bad(ret_why, "not a number where one belongs");
}

static int key_value_compare(const void *a, const void *b)
{
	return strcmp(((const struct key_value *)a)->key, ((const struct key_value *)b)->key);
}

static bool has_prefix(const char *text, const char *const prefixes[])
{
	for (; *prefixes; prefixes++)
		if (strncmp(text, *prefixes, strlen(*prefixes)) == 0)
			return true;
	return false;
}

int docker_json_key_values(const json_t *object, const char *const prefixes[],
			   struct key_values *ret, const char **ret_why)
{
	const char *key;
	json_t *value;

	if (object && !json_is_object(object))
		return docker_json_bad(ret_why, "labels or options are not an object");
	json_object_foreach ((json_t *)object, key, value) {
		struct key_value *kv;
		int r;

		if (!has_prefix(key, prefixes))
			continue;
		if (strlen(key) > DOCKER_TEXT_MAX) {
			*ret_why = "the name of a label or option is too long";
			return -E2BIG;
		}
		kv = vec_add(ret);
		if (!kv)
			return -ENOMEM;
		kv->key = strdup(key);
		if (!kv->key)
			return -ENOMEM;
		r = docker_json_text(value, &kv->value, ret_why);
		if (r < 0)
			return r;
	}
	vec_sort(ret, key_value_compare);
	return 0;
}

bool docker_json_id_is_valid(const char *id)
{
	return strspn(id, "0123456789abcdef") == DOCKER_ID_LENGTH && !id[DOCKER_ID_LENGTH];
}

bool docker_json_network_id_is_valid(const char *id)
{
	size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");

	return n >= 12 && n <= DOCKER_ID_LENGTH && !id[n];
}

/* "20.10.24+dfsg1", "19.03.15", "27.0.0-rc.1"; false for "dev" and the like. */
static bool parse_version(const char *text, unsigned ret[static 3])
{
	unsigned v[3] = {};

	for (int i = 0; i < 3; i++) {
		if (!isdigit((unsigned char)*text))
			return false;
		for (; isdigit((unsigned char)*text) && v[i] < 100000; text++)
			v[i] = v[i] * 10 + (unsigned)(*text - '0');
		if (i == 2 || *text != '.')
			break;
		text++;
	}
	memcpy(ret, v, sizeof(v));
	return true;
}

/* Builds from the development branch call themselves "dev"; the API tells what they can do. */
static unsigned major_of_api(const char *api)
{
	static const struct {
		unsigned minor, major;
	} table[] = {
		{ 52, 29 }, { 48, 28 }, { 46, 27 }, { 45, 26 }, { 44, 25 },
		{ 43, 24 }, { 42, 23 }, { 41, 20 }, { 0, 19 },
	};
	unsigned v[3];

	if (!parse_version(api, v) || v[0] != 1)
		return table[0].major;
	for (size_t i = 0; i < N_ELEMENTS(table); i++)
		if (v[1] >= table[i].minor)
			return table[i].major;
	return 0;
}

int docker_json_version(const char *text, size_t length, struct engine *engine,
			const char **ret_why)
{
	_cleanup_(freep) char *version = NULL, *api = NULL;
	json_auto_t *root = NULL;
	unsigned v[3] = {};
	int r;

	r = docker_json_load(text, length, &root, ret_why);
	if (r < 0)
		return r;
	if (!json_is_string(docker_json_get(root, "Version")))
		return docker_json_bad(ret_why, "no Version");
	r = docker_json_text(docker_json_get(root, "Version"), &version, ret_why);
	if (r == 0)
		r = docker_json_text(docker_json_get(root, "ApiVersion"), &api, ret_why);
	if (r < 0)
		return r;

	if (!parse_version(version, v))
		v[0] = major_of_api(api);
	free(engine->version);
	engine->version = steal_ptr(&version);
	engine->version_major = v[0];
	engine->version_minor = v[1];
	engine->version_patch = v[2];
	return 0;
}

int docker_json_info(const char *text, size_t length, struct engine *engine, const char **ret_why)
{
	bool experimental = false, rootless = false;
	json_auto_t *root = NULL;
	json_t *option;
	size_t i;
	int r;

	r = docker_json_load(text, length, &root, ret_why);
	if (r < 0)
		return r;
	if (!json_is_object(root))
		return docker_json_bad(ret_why, "not an object");
	r = docker_json_flag(docker_json_get(root, "ExperimentalBuild"), &experimental, ret_why);
	if (r < 0)
		return r;
	json_array_foreach (docker_json_get(root, "SecurityOptions"), i, option) {
		const char *s = json_string_value(option);

		if (s && (strcmp(s, "name=rootless") == 0 || strncmp(s, "name=rootless,", 14) == 0))
			rootless = true;
	}
	engine->experimental = experimental;
	engine->rootless = rootless;
	return 0;
}

int docker_json_containers(const char *text, size_t length, struct containers *ret,
			   unsigned *ret_skipped, const char **ret_why)
{
	_cleanup_(containers_done) struct containers list = {};
	json_auto_t *root = NULL;
	unsigned skipped = 0;
	json_t *value;
	size_t i;
	int r;

	r = docker_json_load(text, length, &root, ret_why);
	if (r < 0)
		return r;
	if (!json_is_array(root))
		return docker_json_bad(ret_why, "not a list");
	json_array_foreach (root, i, value) {
		struct container c;

		r = docker_json_container_value(value, &c, ret_why);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			skipped++;
			continue;
		}
		struct container *added = vec_add(&list);
		if (!added) {
			container_done(&c);
			return -ENOMEM;
		}
		*added = c;
	}
	vec_sort(&list, container_compare);
	*ret = list;
	list = (struct containers){};
	*ret_skipped = skipped;
	return 0;
}

int docker_json_networks(const char *text, size_t length, struct networks *ret,
			 unsigned *ret_skipped, const char **ret_why)
{
	_cleanup_(networks_done) struct networks list = {};
	json_auto_t *root = NULL;
	unsigned skipped = 0;
	json_t *value;
	size_t i;
	int r;

	r = docker_json_load(text, length, &root, ret_why);
	if (r < 0)
		return r;
	if (!json_is_array(root))
		return docker_json_bad(ret_why, "not a list");
	json_array_foreach (root, i, value) {
		struct network n;

		r = docker_json_network_value(value, &n, ret_why);
		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			skipped++;
			continue;
		}
		/* The list has no members: what it says of them (nothing, or {}) is not a fact. */
		vec_foreach (m, &n.members)
			free(m->container_id);
		vec_done(&n.members);
		n.members_known = false;

		struct network *added = vec_add(&list);
		if (!added) {
			network_done(&n);
			return -ENOMEM;
		}
		*added = n;
	}
	vec_sort(&list, network_compare);
	*ret = list;
	list = (struct networks){};
	*ret_skipped = skipped;
	return 0;
}

int docker_json_container(const char *text, size_t length, struct container *ret,
			  const char **ret_why)
{
	json_auto_t *root = NULL;
	int r = docker_json_load(text, length, &root, ret_why);

	return r < 0 ? r : docker_json_container_value(root, ret, ret_why);
}

int docker_json_network(const char *text, size_t length, struct network *ret, const char **ret_why)
{
	json_auto_t *root = NULL;
	int r = docker_json_load(text, length, &root, ret_why);

	return r < 0 ? r : docker_json_network_value(root, ret, ret_why);
}

static void copy_cut(char *ret, size_t size, const json_t *value)
{
	const char *s = json_string_value(value);

	(void)snprintf(ret, size, "%s", s ? s : "");
}

static enum docker_event_type event_type(const json_t *value)
{
	const char *s = json_string_value(value);

	if (s && strcmp(s, "container") == 0)
		return DOCKER_EVENT_CONTAINER;
	if (s && strcmp(s, "network") == 0)
		return DOCKER_EVENT_NETWORK;
	if (s && strcmp(s, "daemon") == 0)
		return DOCKER_EVENT_DAEMON;
	return DOCKER_EVENT_OTHER;
}

static int event_ids(const json_t *root, struct docker_event *e, const char **ret_why)
{
	const json_t *actor = docker_json_get(root, "Actor");
	const char *id = json_string_value(docker_json_get(actor, "ID"));
	const char *container = json_string_value(
		docker_json_get(docker_json_get(actor, "Attributes"), "container"));

	if (e->type == DOCKER_EVENT_CONTAINER) {
		if (!id || !docker_json_id_is_valid(id))
			return docker_json_bad(ret_why, "an event without the container's id");
		memcpy(e->id, id, strlen(id) + 1);
	}
	/* "network prune" has no id. */
	if (e->type == DOCKER_EVENT_NETWORK && id && *id) {
		if (!docker_json_network_id_is_valid(id))
			return docker_json_bad(ret_why, "an event with an invalid network id");
		memcpy(e->id, id, strlen(id) + 1);
	}
	/* Swarm's own endpoints have names here, which nobody can GET. */
	if (e->type == DOCKER_EVENT_NETWORK && container && docker_json_id_is_valid(container))
		memcpy(e->container, container, strlen(container) + 1);
	return 0;
}

int docker_json_event(const char *text, size_t length, struct docker_event *ret,
		      const char **ret_why)
{
	struct docker_event e = {};
	json_auto_t *root = NULL;
	const char *why;
	int64_t time;
	int r;

	r = docker_json_load(text, length, &root, ret_why);
	if (r < 0)
		return r;
	if (!json_is_object(root))
		return docker_json_bad(ret_why, "an event that is not an object");
	e.type = event_type(docker_json_get(root, "Type"));
	copy_cut(e.action, sizeof(e.action), docker_json_get(root, "Action"));
	r = event_ids(root, &e, ret_why);
	if (r < 0)
		return r;
	if (docker_json_integer(docker_json_get(root, "timeNano"), &time, &why) == 0 && time > 0)
		e.time_ns = (uint64_t)time;
	else if (docker_json_integer(docker_json_get(root, "time"), &time, &why) == 0 && time > 0 &&
		 time < INT64_MAX / 1000000000)
		e.time_ns = (uint64_t)time * 1000000000;
	*ret = e;
	return 0;
}

void docker_json_error(const char *text, size_t length, char *ret, size_t size)
{
	json_auto_t *root = NULL;
	const char *why;

	if (!size)
		return;
	*ret = '\0';
	if (docker_json_load(text, length, &root, &why) < 0)
		return;
	copy_cut(ret, size, docker_json_get(root, "message"));
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

void containers_done(struct containers *c)
{
	vec_foreach (item, c)
		container_done(item);
	vec_done(c);
}

void networks_done(struct networks *n)
{
	vec_foreach (item, n)
		network_done(item);
	vec_done(n);
}
