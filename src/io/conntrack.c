/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAT is decided by the first packet of a flow and kept in its conntrack entry, so that a flow
 * that never ends (UDP) goes on to where its mapping pointed when it began, or to docker-proxy when
 * there was none. All entries are dumped once for all changes queued, compared here, as filters in the
 * kernel do not work for IPv6, and deleted one by one.
 */
#include "io/conntrack.h"
#include "base/log.h"
#include "io/nlk.h"
#include "wire/flow.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#define DATAGRAMS_PER_WAKEUP 16
#define DUMP_ATTEMPTS 3
#define DUMP_RECEIVE_BUFFER (1U << 20)
/* An answer of docker-proxy that was under way makes an entry after the first look, the wrong way
 * round: for new mappings one looks again, until there was nothing to delete. */
#define LOOKS_AGAIN 5
#define LOOK_AGAIN_US UINT64_C(100000) /* the first time; then twice as long each time */

/* A mapping that came or went. */
struct mapping {
	uint8_t protocol;
	uint16_t port;
	bool added;
	bool any_host;        /* any address of this host */
	struct in6_addr host; /* else this one */
	struct in6_addr target;
	uint16_t target_port;
};
struct mappings {
	VEC_FIELDS(struct mapping);
};

struct conntrack {
	struct nlk dump;
	struct nlk removal; /* not the dump's: its answers would mix with the entries */
	sd_event_source *source;
	sd_event_source *again;
	bool running;
	unsigned attempts;
	unsigned looks;
	bool warned;
	unsigned long deleted;
	struct mappings queued;
	struct mappings active;      /* of the running dump, sorted by protocol and port */
	VEC(struct in6_addr) locals; /* sorted */
};

static int compare_mappings(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return (x->port > y->port) - (x->port < y->port);
}

static int compare_addresses(const void *a, const void *b)
{
	return inet_compare(a, b);
}

/* Connections of the host to itself and link-local ones are never translated: they stay. */
static bool is_exempt(const struct flow *f)
{
	return inet_is_loopback(&f->destination) || inet_is_link_local(&f->destination) ||
	       inet_is_link_local(&f->source);
}

static bool is_contradicted(const struct conntrack *c, const struct mapping *m,
			    const struct flow *f)
{
	bool same_target =
		f->reply_source_port == m->target_port && inet_equal(&f->reply_source, &m->target);

	if (!m->any_host && !inet_equal(&f->destination, &m->host))
		return false;
	/* A flow straight to the container does not go through the mapping. */
	if (!m->added)
		return same_target && !inet_equal(&f->destination, &f->reply_source);
	return !same_target && !is_exempt(f) &&
	       (!m->any_host || vec_find(&c->locals, &f->destination, compare_addresses));
}

/*
 * Where nothing was tracked before us, the first packet seen of a flow may be an answer of
 * docker-proxy, which conntrack then takes for its beginning.
 */
static bool is_contradicted_reversed(const struct conntrack *c, const struct mapping *m,
				     const struct flow *f)
{
	return m->added && !is_exempt(f) &&
	       (m->any_host ? vec_find(&c->locals, &f->source, compare_addresses) != NULL
			    : inet_equal(&f->source, &m->host));
}

static bool any_mapping(const struct conntrack *c, const struct flow *f, uint16_t port,
			bool (*contradicts)(const struct conntrack *, const struct mapping *,
					    const struct flow *))
{
	const struct mapping key = { .protocol = f->protocol, .port = port };
	const struct mapping *m = vec_find(&c->active, &key, compare_mappings);
	const struct mapping *end = c->active.items + c->active.n;

	if (!m)
		return false;
	while (m > c->active.items && compare_mappings(m - 1, &key) == 0)
		m--;
	for (; m < end && compare_mappings(m, &key) == 0; m++)
		if (contradicts(c, m, f))
			return true;
	return false;
}

static bool is_stale(const struct conntrack *c, const struct flow *f)
{
	return any_mapping(c, f, f->destination_port, is_contradicted) ||
	       any_mapping(c, f, f->source_port, is_contradicted_reversed);
}

/* Without an ack: an entry that is gone already is as good, and it is done when this returns. */
static void delete_flow(struct conntrack *c, const struct flow *f)
{
	uint8_t buffer[512];
	const struct nlmsghdr *h = flow_encode_delete(f, buffer, sizeof(buffer), ++c->removal.seq);

	if (h && nlk_send(&c->removal, h, h->nlmsg_len) >= 0)
		c->deleted++;
}

static int start(struct conntrack *c)
{
	uint8_t buffer[64];
	const struct nlmsghdr *h;
	int r;

	nlk_drain(&c->dump);
	h = flow_encode_dump(buffer, sizeof(buffer), ++c->dump.seq);
	r = nlk_send(&c->dump, h, h->nlmsg_len);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->source, SD_EVENT_ON);
	c->running = r >= 0;
	return r;
}

/* New mappings of before, for which one would have looked again, unless newer changes are about them. */
static int keep_new(struct mappings *active, const struct mappings *older)
{
	size_t n = active->n;

	vec_foreach (m, older) {
		const struct mappings newer = { active->items, n, n };
		struct mapping *copy;

		if (!m->added || vec_find(&newer, m, compare_mappings))
			continue;
		copy = vec_add(active);
		if (!copy)
			return -ENOMEM;
		*copy = *m;
	}
	vec_sort(active, compare_mappings);
	return 0;
}

static int start_queued(struct conntrack *c, bool keep)
{
	struct mappings older = c->active;
	int r = 0;

	c->active = c->queued;
	c->queued = (struct mappings){ 0 };
	vec_sort(&c->active, compare_mappings);
	if (keep && c->active.n > 0)
		r = keep_new(&c->active, &older);
	vec_done(&older);
	if (r < 0 || c->active.n == 0)
		return r;
	c->attempts = 1;
	c->looks = 0;
	c->deleted = 0;
	return start(c);
}

static void warn_once(struct conntrack *c, int error)
{
	if (!c->warned)
		log_warning_errno(
			error, "Cannot read conntrack entries, flows keep their old targets: %m");
	c->warned = true;
}

static int look_again_later(struct conntrack *c)
{
	int r = sd_event_source_set_time_relative(c->again, LOOK_AGAIN_US << c->looks++);

	return r < 0 ? r : sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct conntrack *c = userdata;
	int r;

	(void)source;
	(void)time_us;
	if (c->running) /* for newer changes, and for these as well */
		return 0;
	c->attempts = 1;
	c->deleted = 0;
	r = start(c);
	if (r < 0)
		warn_once(c, r);
	return 0;
}

static bool has_added(const struct conntrack *c)
{
	vec_foreach (m, &c->active)
		if (m->added)
			return true;
	return false;
}

/* The dump has ended: error is 0 or -errno. */
static void finish(struct conntrack *c, int error)
{
	bool again = error == 0 && has_added(c) && (c->deleted > 0 || c->looks == 0) &&
		     c->looks < LOOKS_AGAIN;
	int r;

	c->running = false;
	nlk_drain(&c->removal);
	(void)sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
	if (error < 0)
		warn_once(c, error);
	else if (c->deleted > 0)
		log_debug("Deleted %lu conntrack entries that contradicted changed mappings",
			  c->deleted);
	r = again && c->queued.n == 0 ? look_again_later(c) : start_queued(c, again);
	if (r < 0)
		warn_once(c, r);
}

/* Entries were lost: the dump is begun again, a few times. */
static void restart(struct conntrack *c, int error)
{
	int r = error;

	if (c->attempts < DUMP_ATTEMPTS) {
		c->attempts++;
		r = start(c);
	}
	if (r < 0)
		finish(c, r);
}

/* > 0: the dump is complete; < 0: it failed. */
static int handle_datagram(struct conntrack *c)
{
	const struct nlmsghdr *h;
	struct nlk_error e;
	struct flow f;
	int left;

	nlk_foreach(h, left, &c->dump)
	{
		if (h->nlmsg_seq != c->dump.seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return nlk_error_decode(h, &e) < 0 ? -EBADMSG : -e.error;
		if (flow_decode(h, &f) > 0 && is_stale(c, &f))
			delete_flow(c, &f);
	}
	nlk_drain(&c->removal); /* entries that were gone already */
	return 0;
}

static int on_dump(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct conntrack *c = userdata;

	(void)source;
	(void)fd;
	(void)revents;
	for (unsigned i = 0; c->running && i < DATAGRAMS_PER_WAKEUP; i++) {
		int r = nlk_receive(&c->dump);

		if (r == -EAGAIN)
			break;
		if (r < 0) {
			restart(c, r);
			break;
		}
		r = handle_datagram(c);
		if (r != 0)
			finish(c, MIN_OF(r, 0));
	}
	return 0;
}

int conntrack_new(sd_event *event, struct conntrack **ret)
{
	struct conntrack *c = malloc(sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct conntrack){ .dump = NLK_NONE, .removal = NLK_NONE };
	r = nlk_open(&c->dump, NETLINK_NETFILTER);
	if (r >= 0)
		r = nlk_open(&c->removal, NETLINK_NETFILTER);
	if (r >= 0)
		r = sd_event_add_io(event, &c->source, c->dump.fd, EPOLLIN, on_dump, c);
	if (r >= 0)
		r = sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &c->again, CLOCK_MONOTONIC, UINT64_MAX, 0, on_again,
				      c);
	if (r < 0) {
		conntrack_free(c);
		return r;
	}
	nlk_force_buffer(&c->dump, SO_RCVBUFFORCE, DUMP_RECEIVE_BUFFER);
	(void)sd_event_source_set_description(c->source, "conntrack dump");
	*ret = c;
	return 0;
}

struct conntrack *conntrack_free(struct conntrack *c)
{
	if (!c)
		return NULL;
	sd_event_source_disable_unref(c->source);
	sd_event_source_disable_unref(c->again);
	nlk_done(&c->dump);
	nlk_done(&c->removal);
	vec_done(&c->queued);
	vec_done(&c->active);
	vec_done(&c->locals);
	free(c);
	return NULL;
}

/* DNAT maps are known by their shape: [address .] protocol . port to address . port. */
static bool is_dnat_map(const struct ruleset_set *s, bool *ret_any_host)
{
	static const enum ruleset_field data[RULESET_FIELDS] = { RULESET_DADDR, RULESET_DPORT };
	static const enum ruleset_field exact[RULESET_FIELDS] = { RULESET_DADDR, RULESET_L4PROTO,
								  RULESET_DPORT };
	static const enum ruleset_field any[RULESET_FIELDS] = { RULESET_L4PROTO, RULESET_DPORT };

	*ret_any_host = memcmp(s->key, any, sizeof(any)) == 0;
	return s->kind == RULESET_MAP && memcmp(s->data, data, sizeof(data)) == 0 &&
	       (*ret_any_host || memcmp(s->key, exact, sizeof(exact)) == 0);
}

static uint16_t port_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static struct mapping decode_mapping(const struct ruleset_element *e, bool any_host)
{
	const uint8_t *key = e->key;
	struct mapping m = { .any_host = any_host };

	if (!any_host) {
		memcpy(&m.host, key, sizeof(m.host));
		key += sizeof(m.host);
	}
	m.protocol = key[0];
	m.port = port_at(key + ruleset_field_size(RULESET_L4PROTO));
	memcpy(&m.target, e->data, sizeof(m.target));
	m.target_port = port_at(e->data + sizeof(m.target));
	return m;
}

/* > 0: queued. A new mapping only concerns UDP: other flows end with what they were begun for. */
static int queue_change(struct conntrack *c, const struct ruleset_change *change)
{
	struct mapping m, *copy;
	bool any_host;

	if ((change->op != RULESET_ADD_ELEMENT && change->op != RULESET_DELETE_ELEMENT) ||
	    change->family != RULESET_IP6 || !is_dnat_map(change->set, &any_host))
		return 0;
	m = decode_mapping(change->element, any_host);
	m.added = change->op == RULESET_ADD_ELEMENT;
	if (m.added && m.protocol != IPPROTO_UDP)
		return 0;
	copy = vec_add(&c->queued);
	if (!copy)
		return -ENOMEM;
	*copy = m;
	return 1;
}

static int copy_locals(struct conntrack *c, const struct links *local)
{
	c->locals.n = 0;
	vec_foreach (link, &local->links)
		vec_foreach (a, &link->addresses) {
			struct in6_addr *copy = vec_add(&c->locals);

			if (!copy)
				return -ENOMEM;
			*copy = a->address;
		}
	vec_sort(&c->locals, compare_addresses);
	return 0;
}

int conntrack_forget(struct conntrack *c, const struct ruleset_changes *changes,
		     const struct links *local)
{
	int r = 0, queued = 0;

	vec_foreach (change, changes) {
		r = queue_change(c, change);
		if (r < 0)
			return r;
		queued += r > 0;
	}
	if (queued == 0)
		return 0;
	r = copy_locals(c, local);
	if (r >= 0 && !c->running)
		r = start_queued(c, sd_event_source_get_enabled(c->again, NULL) > 0);
	return r < 0 ? r : 1;
}
