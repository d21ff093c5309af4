/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers become facts of the snapshot. What is known already changes nothing and wakes nobody. */
#include "base/log.h"
#include "io/docker-private.h"

#define STUCK_US 60000000ULL

bool docker_network_matters(const struct network *n)
{
	return (n->ipv6 || n->swarm) && !n->config_only && strcmp(n->driver, "bridge") == 0;
}

bool docker_network_is_gwbridge(const struct network *n)
{
	return strcmp(n->name, "docker_gwbridge") == 0 && docker_network_matters(n);
}

/* Moves the item just added at the end to its place. */
#define vec_settle(v, compare)                                                        \
	do {                                                                          \
		typeof(v) sv_ = (v);                                                  \
		typeof(*sv_->items) last_ = sv_->items[sv_->n - 1];                   \
		size_t si_ = sv_->n - 1;                                              \
		for (; si_ > 0 && (compare)(&sv_->items[si_ - 1], &last_) > 0; si_--) \
			sv_->items[si_] = sv_->items[si_ - 1];                        \
		sv_->items[si_] = last_;                                              \
	} while (0)

static bool insert_container(struct docker *d, struct container *c)
{
	struct container *added = vec_add(&d->snapshot.containers);

	if (!added) {
		log_oom();
		container_done(c);
		return false;
	}
	*added = *c;
	*c = (struct container){};
	vec_settle(&d->snapshot.containers, container_compare);
	return true;
}

static bool insert_network(struct docker *d, struct network *n)
{
	struct network *added = vec_add(&d->snapshot.networks);

	if (!added) {
		log_oom();
		network_done(n);
		return false;
	}
	*added = *n;
	*n = (struct network){};
	vec_settle(&d->snapshot.networks, network_compare);
	return true;
}

/* Who is a member is asked again wherever the container was one: no membership may outlive it, or
 * its run. */
static void touch_networks_of(struct docker *d, const char *id)
{
	vec_foreach (n, &d->snapshot.networks)
		vec_foreach (m, &n->members)
			if (strcmp(m->container_id, id) == 0) {
				struct object *o = docker_object(d, OBJECT_NETWORK, n->id);

				if (o)
					docker_touch(d, o);
			}
}

static bool is_live(const struct container *c)
{
	return c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED;
}

void docker_apply_container(struct docker *d, struct container *c, bool is_background)
{
	struct container *known = snapshot_find_container(&d->snapshot, c->id);
	bool is_small;

	if (!known) {
		if (insert_container(d, c))
			docker_changed(d);
		return;
	}
	if (container_equal(known, c)) {
		container_done(c);
		return;
	}
	/* Its networks have let go of it by now, docker_gwbridge without an event. */
	if (is_live(known) && !is_live(c))
		touch_networks_of(d, c->id);
	/* After a start there are as many of these as containers: no plan for each. */
	is_small = is_background && container_agrees(known, c) && container_agrees(c, known);
	container_done(known);
	*known = *c;
	*c = (struct container){};
	if (is_small)
		d->on_change_due = true;
	else
		docker_changed(d);
}

void docker_apply_network(struct docker *d, struct network *n)
{
	struct network *known = snapshot_find_network(&d->snapshot, n->id);

	if (!known) {
		if (insert_network(d, n))
			docker_changed(d);
		return;
	}
	if (network_equal(known, n)) {
		network_done(n);
		return;
	}
	n->docker_rules = known->docker_rules;
	network_done(known);
	*known = *n;
	*n = (struct network){};
	docker_changed(d);
}

static bool remove_container(struct docker *d, const char *id)
{
	struct container *known = snapshot_find_container(&d->snapshot, id);

	touch_networks_of(d, id);
	if (!known)
		return false;
	container_done(known);
	vec_remove(&d->snapshot.containers, (size_t)(known - d->snapshot.containers.items));
	return true;
}

void docker_forget_starting(struct docker *d, const char *id)
{
	struct network *n = snapshot_find_network(&d->snapshot, id);
	bool changed = false;

	for (size_t i = n ? n->members.n : 0; i-- > 0;) {
		struct network_member *m = &n->members.items[i];
		const struct container *c = snapshot_find_container(&d->snapshot, m->container_id);

		if (!c || is_live(c))
			continue;
		free(m->container_id);
		vec_remove(&n->members, i);
		changed = true;
	}
	if (changed)
		docker_changed(d);
}

static bool remove_network(struct docker *d, const char *id)
{
	struct network *known = snapshot_find_network(&d->snapshot, id);

	if (!known)
		return false;
	network_done(known);
	vec_remove(&d->snapshot.networks, (size_t)(known - d->snapshot.networks.items));
	return true;
}

void docker_drop_container(struct docker *d, const char *id)
{
	if (remove_container(d, id))
		docker_changed(d);
}

void docker_drop_network(struct docker *d, const char *id)
{
	if (remove_network(d, id))
		docker_changed(d);
}

/* --------------------------------------------------------------------------------- lists */

/* The object has been heard of since the lists were asked for, or is being asked for: they may be
 * older than that. An inspect that never returns must not keep the lists' word out for ever. */
static bool is_newer(const struct docker *d, const struct object *o)
{
	if (o->touched >= d->sync.started)
		return true;
	if (o->request && docker_now(d) - o->sent_us > STUCK_US)
		return false;
	return docker_object_is_busy(o);
}

static bool apply_listed_network(struct docker *d, struct network *n)
{
	struct object *o = docker_object(d, OBJECT_NETWORK, n->id);
	struct network *known = snapshot_find_network(&d->snapshot, n->id);
	bool changed = false;

	if (!o || o->gone) {
		network_done(n);
		return false;
	}
	/* The lists have no members, and of a swarm's network perhaps nothing that counts here. The first
	 * plan must not close what only these will tell. */
	if (docker_network_matters(n)) {
		docker_read(d, o, QUEUE_NETWORKS);
		o->gate = (n->swarm || docker_network_is_gwbridge(n)) && !d->snapshot.complete;
		if (n->swarm && known) {
			network_done(n);
			return false;
		}
	}
	if (!known)
		return insert_network(d, n);
	if (!network_equal_but_members(known, n)) {
		vec_foreach (m, &n->members)
			free(m->container_id);
		n->members.items = known->members.items;
		n->members.n = known->members.n;
		n->members.n_allocated = known->members.n_allocated;
		n->members_known = known->members_known;
		known->members.items = NULL;
		known->members.n = 0;
		n->docker_rules = known->docker_rules;
		network_done(known);
		*known = *n;
		*n = (struct network){};
		changed = true;
	}
	network_done(n);
	return changed;
}

/* The inspect knows more than the list: of ports that are routed (engine 29 leaves them out of the
 * list), and of "::" (before 20.10.6 only what was asked for tells). The first plan must not close
 * such ports for the moment until it has come. */
static bool must_be_inspected(const struct docker *d, const struct container *c)
{
	const struct engine *e = &d->snapshot.engine;
	bool is_ancient = e->version_major < 20 || (e->version_major == 20 &&
						    e->version_minor <= 10 && e->version_patch < 6);

	if (d->snapshot.complete || !is_live(c))
		return false;
	vec_foreach (p, &c->ports)
		if (is_ancient && p->host_ip_kind == HOST_IP_V4)
			return true;
	vec_foreach (ep, &c->endpoints) {
		const struct network *n = snapshot_find_network(&d->snapshot, ep->network_id);
		const char *mode = n ? key_values_get(&n->options, "com.docker.network.bridge."
								   "gateway_mode_ipv6")
				     : NULL;

		if (e->version_major >= 29 && mode && strcmp(mode, "routed") == 0)
			return true;
	}
	return false;
}

/* The list's facts, with those of the inspect that it does not have. */
static void merge(struct container *known, struct container *c)
{
	c->requested = known->requested;
	c->started_us = known->started_us;
	c->inspected = known->inspected;
	known->requested = (struct port_bindings){};
	container_done(known);
	*known = *c;
	*c = (struct container){};
}

static bool apply_listed_container(struct docker *d, struct container *c)
{
	struct object *o = docker_object(d, OBJECT_CONTAINER, c->id);
	struct container *known = snapshot_find_container(&d->snapshot, c->id);
	bool changed = false;

	if (!o || o->gone) {
		container_done(c);
		return false;
	}
	if (!known) {
		if (must_be_inspected(d, c)) {
			docker_read(d, o, QUEUE_CONTAINERS);
			o->gate = true;
		}
		changed = insert_container(d, c);
	} else if (!container_agrees(known, c)) {
		if (!is_newer(d, o)) {
			merge(known, c);
			changed = true;
		}
		docker_read(d, o, QUEUE_CONTAINERS);
	}
	container_done(c);
	if (!o->verified)
		docker_read(d, o, QUEUE_BACKGROUND);
	return changed;
}

/* The lists do not name it. A GET decides where they may be older than an event, or could not be
 * read to the end. */
static bool apply_absence(struct docker *d, enum object_kind kind, const char *id, bool is_sure)
{
	struct object *o = docker_object(d, kind, id);

	if (!o)
		return false;
	if (!is_sure || is_newer(d, o)) {
		docker_read(d, o, kind == OBJECT_NETWORK ? QUEUE_NETWORKS : QUEUE_CONTAINERS);
		return false;
	}
	return kind == OBJECT_NETWORK ? remove_network(d, id) : remove_container(d, id);
}

static bool apply_absences(struct docker *d)
{
	struct snapshot *s = &d->snapshot;
	struct sync *sync = &d->sync;
	bool changed = false;

	for (size_t i = s->networks.n; i-- > 0;)
		if (!vec_find(&sync->networks, &s->networks.items[i], network_compare))
			changed |= apply_absence(d, OBJECT_NETWORK, s->networks.items[i].id,
						 sync->networks_skipped == 0);
	for (size_t i = s->containers.n; i-- > 0;)
		if (!vec_find(&sync->containers, &s->containers.items[i], container_compare))
			changed |= apply_absence(d, OBJECT_CONTAINER, s->containers.items[i].id,
						 sync->containers_skipped == 0);
	return changed;
}

bool docker_apply_lists(struct docker *d)
{
	bool changed = apply_absences(d);

	vec_foreach (n, &d->sync.networks)
		changed |= apply_listed_network(d, n);
	vec_foreach (c, &d->sync.containers)
		changed |= apply_listed_container(d, c);
	/* What was cut off in the middle of being asked for is asked again, listed or not. */
	vec_foreach (o, &d->objects)
		if ((*o)->again)
			docker_read(d, *o,
				    (*o)->kind == OBJECT_NETWORK ? QUEUE_NETWORKS
								 : QUEUE_CONTAINERS);
	/* Emptied above, item by item. */
	vec_done(&d->sync.networks);
	vec_done(&d->sync.containers);
	return changed;
}
