/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/facts.h"

#include <stdio.h>

static const char *const container_states[] = {
	[CONTAINER_CREATED] = "created",   [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",     [CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_REMOVING] = "removing", [CONTAINER_EXITED] = "exited",
	[CONTAINER_DEAD] = "dead",
};
DEFINE_STRTAB(container_state, enum container_state, _CONTAINER_STATE_MAX, container_states)

const char *key_values_get(const struct key_values *v, const char *key)
{
	vec_foreach (kv, v)
		if (strcmp(kv->key, key) == 0)
			return kv->value;
	return NULL;
}

int key_values_set(struct key_values *v, const char *key, const char *value)
{
	char *copy = strdup(value);
	struct key_value *added;

	if (!copy)
		return -ENOMEM;
	vec_foreach (kv, v)
		if (strcmp(kv->key, key) == 0) {
			free(kv->value);
			kv->value = copy;
			return 0;
		}

	added = vec_add(v);
	if (!added) {
		free(copy);
		return -ENOMEM;
	}
	added->value = copy;
	added->key = strdup(key);
	if (!added->key) {
		free(copy);
		v->n--;
		return -ENOMEM;
	}
	return 0;
}

void key_values_done(struct key_values *v)
{
	vec_foreach (kv, v) {
		free(kv->key);
		free(kv->value);
	}
	vec_done(v);
}

int port_binding_compare(const void *a, const void *b)
{
	const struct port_binding *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	if (x->container_port != y->container_port)
		return x->container_port < y->container_port ? -1 : 1;
	if (x->host_ip_kind != y->host_ip_kind)
		return x->host_ip_kind < y->host_ip_kind ? -1 : 1;
	if (x->host_port != y->host_port)
		return x->host_port < y->host_port ? -1 : 1;
	return inet_compare(&x->host_ip, &y->host_ip);
}

void container_done(struct container *c)
{
	free(c->id);
	free(c->name);
	key_values_done(&c->labels);
	vec_foreach (e, &c->endpoints) {
		free(e->network_id);
		free(e->network_name);
	}
	vec_done(&c->endpoints);
	vec_done(&c->ports);
	vec_done(&c->requested);
	*c = (struct container){};
}

void network_done(struct network *n)
{
	free(n->id);
	free(n->name);
	free(n->driver);
	vec_done(&n->subnets);
	key_values_done(&n->options);
	key_values_done(&n->labels);
	vec_foreach (m, &n->members)
		free(m->container_id);
	vec_done(&n->members);
	*n = (struct network){};
}

void engine_done(struct engine *e)
{
	free(e->host);
	free(e->version);
	free(e->api);
	*e = (struct engine){};
}

void snapshot_done(struct snapshot *s)
{
	engine_done(&s->engine);
	vec_foreach (n, &s->networks)
		network_done(n);
	vec_done(&s->networks);
	vec_foreach (c, &s->containers)
		container_done(c);
	vec_done(&s->containers);
}

int container_compare(const void *a, const void *b)
{
	return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

int network_compare(const void *a, const void *b)
{
	return strcmp(((const struct network *)a)->id, ((const struct network *)b)->id);
}

struct container *snapshot_find_container(const struct snapshot *s, const char *id)
{
	struct container key = { .id = (char *)id };

	return vec_find(&s->containers, &key, container_compare);
}

struct network *snapshot_find_network(const struct snapshot *s, const char *id)
{
	struct network key = { .id = (char *)id };

	return vec_find(&s->networks, &key, network_compare);
}

const char *network_bridge(const struct network *n, char buffer[static 16])
{
	const char *name = key_values_get(&n->options, "com.docker.network.bridge.name");

	if (name && *name)
		snprintf(buffer, 16, "%s", name);
	else
		snprintf(buffer, 16, "br-%.12s", n->id);
	return buffer;
}
