/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/ndp-internal.h"

#include "base/log.h"

#include <errno.h>

#define TIMER_ACCURACY_US 1000

int ndp_new(sd_event *event, const struct ndp_callbacks *callbacks, void *userdata,
	    struct ndp **ret)
{
	_cleanup_(ndp_freep) struct ndp *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->event = sd_event_ref(event);
	n->callbacks = *callbacks;
	n->userdata = userdata;
	r = ndp_batch_new(&n->batch);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &n->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US,
			      ndp_schedule_on_timer, n);
	if (r >= 0)
		r = sd_event_source_set_enabled(n->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(n->timer, "ndp-schedule");
	*ret = steal_ptr(&n);
	return 0;
}

struct ndp *ndp_free(struct ndp *n)
{
	if (!n)
		return NULL;
	vec_foreach (ref, &n->uplinks)
		ndp_uplink_free(ref->uplink);
	vec_done(&n->uplinks);
	sd_event_source_disable_unref(n->timer);
	problems_done(&n->problems);
	free(n->batch);
	sd_event_unref(n->event);
	free(n);
	return NULL;
}

uint64_t ndp_now(struct ndp *n)
{
	uint64_t now_us = 0;

	(void)sd_event_now(n->event, CLOCK_MONOTONIC, &now_us);
	return now_us;
}

/* Several uplinks may be on one link, so that we hear ourselves. */
bool ndp_is_own_mac(const struct ndp *n, const uint8_t mac[static 6])
{
	vec_foreach (ref, &n->uplinks)
		if (memcmp(ref->uplink->wanted.mac, mac, 6) == 0)
			return true;
	return false;
}

/* ----------------------------------------------------------------- problems */

static int add_interface_problem(struct problems *p, const struct ndp_uplink *u)
{
	if (u->not_ethernet)
		return problems_add(p, PROBLEM_UPLINK_NOT_ETHERNET, PROBLEM_WARNING,
				    "Have the containers' prefix routed to this host, or use mode "
				    "nat",
				    "%s is not an Ethernet interface: there are no neighbour "
				    "solicitations to answer for containers",
				    u->wanted.name);
	switch (u->error) {
	case 0:
	case ENETDOWN:
	case ENODEV:
	case ENXIO:
		return 0;
	case EPERM:
	case EACCES:
		return problems_add(p, PROBLEM_KERNEL_REFUSED, PROBLEM_ERROR,
				    "Start the daemon with CAP_NET_RAW",
				    "Neighbour solicitations on %s are not answered: no permission "
				    "to open a packet socket",
				    u->wanted.name);
	default:
		return problems_add(p, PROBLEM_KERNEL_REFUSED, PROBLEM_ERROR, "",
				    "Neighbour solicitations on %s are not answered: %s",
				    u->wanted.name, strerror(u->error));
	}
}

static int add_conflict(struct problems *p, const struct ndp_uplink *u, size_t i)
{
	const uint8_t *m = u->states[i].mac;
	char text[INET_ADDR_TEXT];

	return problems_add(p, PROBLEM_ADDRESS_CONFLICT, PROBLEM_ERROR,
			    "Give the container another address, or the other host; the address "
			    "is tried again every minute",
			    "%s is not answered on %s: %02x:%02x:%02x:%02x:%02x:%02x has it too",
			    inet_format(&u->wanted.targets.items[i].address, text), u->wanted.name,
			    m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int list_problems(const struct ndp *n, struct problems *ret)
{
	int r = 0;

	vec_foreach (ref, &n->uplinks) {
		const struct ndp_uplink *u = ref->uplink;

		if (r >= 0)
			r = add_interface_problem(ret, u);
		for (size_t i = 0; r >= 0 && i < u->wanted.targets.n; i++)
			if (u->states[i].phase == NDP_SILENT)
				r = add_conflict(ret, u, i);
	}
	return r;
}

/* > 0: they are others than before. */
static int renew_problems(struct ndp *n)
{
	struct problems fresh = { 0 };
	bool same;
	int r;

	r = list_problems(n, &fresh);
	if (r < 0) {
		problems_done(&fresh);
		return r;
	}
	same = fresh.n == n->problems.n;
	for (size_t i = 0; same && i < fresh.n; i++)
		same = problems_equal(&fresh.items[i], &n->problems.items[i]);
	problems_done(&n->problems);
	n->problems = fresh;
	return !same;
}

void ndp_update_problems(struct ndp *n)
{
	int r = renew_problems(n);

	if (r < 0)
		(void)log_oom();
	else if (r > 0)
		n->callbacks.on_change(n->userdata);
}

const struct problems *ndp_problems(const struct ndp *n)
{
	return &n->problems;
}

/* -------------------------------------------------------------------- apply */

static struct ndp_uplink *find_uplink(const struct ndp_uplinks *uplinks, int ifindex)
{
	vec_foreach (ref, uplinks)
		if (ref->uplink->wanted.ifindex == ifindex)
			return ref->uplink;
	return NULL;
}

/* What is to become of one interface; what it owns is steal_ptr()ed when it is done. */
struct change {
	struct ndp_uplink *uplink;
	struct ndp_uplink *fresh; /* the same, if it is new */
	struct ndp_target_state *states;
};

struct changes {
	VEC_FIELDS(struct change);
	struct ndp_uplinks uplinks; /* as they will be; borrowed */
};

static void changes_donep(struct changes *c)
{
	vec_foreach (change, c) {
		ndp_uplink_free(change->fresh);
		free(change->states);
	}
	vec_done(c);
	vec_done(&c->uplinks);
}

static int compare_own(const void *a, const void *b)
{
	return inet_compare(a, b);
}

/* The kernel answers for this host's own addresses, which are nobody's to probe or announce. */
static void drop_own_targets(struct ndp_interface *wanted)
{
	size_t n = 0;

	vec_foreach (target, &wanted->targets)
		if (!vec_find(&wanted->own, &target->address, compare_own))
			wanted->targets.items[n++] = *target;
	wanted->targets.n = n;
}

/* Everything that can fail, so that a plan is applied as a whole or not at all. */
static int prepare(struct ndp *n, struct ndp_plan *plan, struct changes *ret)
{
	vec_foreach (wanted, &plan->interfaces) {
		struct change *change = vec_add(ret);
		struct ndp_uplink_ref *ref = vec_add(&ret->uplinks);

		if (!change || !ref)
			return -ENOMEM;
		drop_own_targets(wanted);
		change->uplink = find_uplink(&n->uplinks, wanted->ifindex);
		if (!change->uplink)
			change->uplink = change->fresh = ndp_uplink_new(n);
		ref->uplink = change->uplink;
		change->states =
			calloc(MAX_OF(wanted->targets.n, (size_t)1), sizeof(*change->states));
		if (!change->uplink || !change->states)
			return -ENOMEM;
	}
	return 0;
}

/* Those that stay keep their states; the others begin. */
static void merge_states(const struct ndp_uplink *u, const struct ndp_interface *wanted,
			 struct ndp_target_state *ret)
{
	const struct ndp_target *old = u->wanted.targets.items;
	const size_t n = u->wanted.targets.n;
	size_t k = 0;

	for (size_t i = 0; i < wanted->targets.n; i++) {
		const struct ndp_target *target = &wanted->targets.items[i];

		while (k < n && ndp_target_compare(&old[k], target) < 0)
			k++;
		if (k < n && ndp_target_compare(&old[k], target) == 0)
			ret[i] = u->states[k];
		else
			ret[i].due_us = NDP_NEVER;
	}
}

#define SAME_ITEMS(a, b)     \
	((a)->n == (b)->n && \
	 ((a)->n == 0 || memcmp((a)->items, (b)->items, (a)->n * sizeof(*(a)->items)) == 0))

static bool same_rules(const struct ndp_interface *a, const struct ndp_interface *b)
{
	if (a->rules.n != b->rules.n)
		return false;
	for (size_t i = 0; i < a->rules.n; i++)
		if (inet_prefix_compare(&a->rules.items[i].prefix, &b->rules.items[i].prefix) != 0)
			return false;
	return true;
}

static bool same_interface(const struct ndp_interface *a, const struct ndp_interface *b)
{
	return a->ifindex == b->ifindex && strcmp(a->name, b->name) == 0 && a->up == b->up &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 &&
	       inet_equal(&a->link_local, &b->link_local) && SAME_ITEMS(&a->targets, &b->targets) &&
	       SAME_ITEMS(&a->own, &b->own) && same_rules(a, b);
}

/* Swaps the tables; *wanted has the old ones then. */
static void swap_tables(struct ndp_uplink *u, struct ndp_interface *wanted,
			struct ndp_target_state **states)
{
	const struct ndp_interface old = u->wanted;

	merge_states(u, wanted, *states);
	free(u->states);
	u->states = steal_ptr(states);
	u->wanted = *wanted;
	*wanted = old;
}

/* > 0: something changed. */
static int apply_interface(struct ndp_uplink *u, struct ndp_interface *wanted,
			   struct ndp_target_state **states)
{
	bool other_mac;

	if (same_interface(&u->wanted, wanted)) {
		/* Converged, unless an error waits for its next attempt: this is one. */
		if (u->wanted.up && u->error)
			(void)ndp_uplink_open(u);
		return 0;
	}
	other_mac = memcmp(u->wanted.mac, wanted->mac, sizeof(u->wanted.mac)) != 0;
	swap_tables(u, wanted, states);
	if (!u->wanted.up) {
		ndp_uplink_close(u);
		u->error = 0;
	} else if (!ndp_uplink_is_open(u)) {
		(void)ndp_uplink_open(u);
	} else {
		ndp_uplink_follow(u);
		if (other_mac)
			ndp_schedule_all(u, NDP_SCRIPT_MAC);
		ndp_schedule_new(u);
	}
	return 1;
}

/* Takes over what the plan says besides interfaces. > 0: something changed. */
static int apply_settings(struct ndp *n, const struct ndp_plan *plan)
{
	struct ndp_plan *s = &n->settings;
	const bool same = s->source == plan->source && s->override == plan->override &&
			  inet_equal(&s->source_address, &plan->source_address) &&
			  s->announce == plan->announce && s->rate_per_s == plan->rate_per_s;

	*s = (struct ndp_plan){
		.source = plan->source,
		.source_address = plan->source_address,
		.override = plan->override,
		.announce = plan->announce,
		.rate_per_s = plan->rate_per_s,
	};
	return !same;
}

int ndp_apply(struct ndp *n, struct ndp_plan *plan)
{
	_cleanup_(changes_donep) struct changes changes = { 0 };
	struct ndp_uplinks old;
	int r, changed;

	r = prepare(n, plan, &changes);
	if (r < 0)
		return r;

	changed = apply_settings(n, plan);
	old = n->uplinks;
	n->uplinks = changes.uplinks;
	changes.uplinks = (struct ndp_uplinks){ 0 };
	vec_foreach (change, &changes) {
		change->fresh = NULL;
		changed |= apply_interface(change->uplink,
					   &plan->interfaces.items[change - changes.items],
					   &change->states);
	}
	vec_foreach (ref, &old) {
		if (find_uplink(&n->uplinks, ref->uplink->wanted.ifindex))
			continue;
		ndp_uplink_free(ref->uplink);
		changed = 1;
	}
	vec_done(&old);
	ndp_plan_done(plan);
	*plan = (struct ndp_plan){ 0 };

	ndp_schedule_arm(n);
	r = renew_problems(n);
	return r < 0 ? r : changed | r;
}

/* ------------------------------------------------------------------- status */

int ndp_status(struct ndp *n, struct status_ndps *ret)
{
	vec_foreach (ref, &n->uplinks) {
		struct ndp_uplink *u = ref->uplink;
		struct status_ndp *status = vec_add(ret);

		if (!status)
			return -ENOMEM;
		ndp_uplink_read_counters(u);
		(void)snprintf(status->interface, sizeof(status->interface), "%s", u->wanted.name);
		status->targets = u->wanted.targets.n;
		status->counters = u->counters;
		vec_foreach (rule, &u->wanted.rules) {
			struct inet_prefix *prefix = vec_add(&status->rules);

			if (!prefix)
				return -ENOMEM;
			*prefix = rule->prefix;
		}
	}
	return 0;
}

#define COPY_ITEMS(from, to)                                                           \
	({                                                                             \
		size_t n_ = (from)->n;                                                 \
                                                                                       \
		(to)->items = calloc(MAX_OF(n_, (size_t)1), sizeof(*(to)->items));     \
		(to)->n_allocated = MAX_OF(n_, (size_t)1);                             \
		(to)->n = (to)->items ? n_ : 0;                                        \
		if ((to)->n > 0)                                                       \
			memcpy((to)->items, (from)->items, n_ * sizeof(*(to)->items)); \
		(to)->items != NULL;                                                   \
	})

/* Nothing is answered where no socket is open; the interface is listed all the same. */
static int copy_interface(const struct ndp_uplink *u, struct ndp_interface *ret)
{
	size_t n = 0;

	*ret = u->wanted;
	ret->targets.items = NULL;
	ret->rules.items = NULL;
	ret->own.items = NULL;
	if (!COPY_ITEMS(&u->wanted.targets, &ret->targets) ||
	    !COPY_ITEMS(&u->wanted.rules, &ret->rules) || !COPY_ITEMS(&u->wanted.own, &ret->own))
		return -ENOMEM;
	for (size_t i = 0; i < ret->targets.n && ndp_uplink_is_open(u); i++)
		if (u->states[i].phase != NDP_SILENT)
			ret->targets.items[n++] = ret->targets.items[i];
	ret->targets.n = n;
	if (!ndp_uplink_is_open(u))
		ret->rules.n = 0;
	return 0;
}

int ndp_current(struct ndp *n, struct ndp_plan *ret)
{
	struct ndp_plan plan = n->settings;

	vec_foreach (ref, &n->uplinks) {
		struct ndp_interface *copy = vec_add(&plan.interfaces);

		if (!copy || copy_interface(ref->uplink, copy) < 0) {
			ndp_plan_done(&plan);
			return -ENOMEM;
		}
	}
	*ret = plan;
	return 0;
}
