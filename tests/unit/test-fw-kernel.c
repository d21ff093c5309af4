/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topology: none; every test has a network namespace of its own, with the real kernel and nft. */
#include "base/links.h"
#include "io/fw-internal.h"
#include "model/ruleset-diff.h"
#include "unit/ruleset-sample.h"
#include "wire/nft-text.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

struct world {
	sd_event *event;
	struct fw *fw;
	unsigned n_foreign, n_others, n_lost;
	char process[16];
};

static void on_foreign_change(void *userdata, pid_t pid, const char *process)
{
	struct world *w = userdata;

	(void)pid;
	w->n_foreign++;
	(void)snprintf(w->process, sizeof(w->process), "%s", process);
}

static void on_rules_of_others(void *userdata)
{
	((struct world *)userdata)->n_others++;
}

static void on_lost(void *userdata)
{
	((struct world *)userdata)->n_lost++;
}

static const struct fw_callbacks callbacks = {
	.on_foreign_change = on_foreign_change,
	.on_rules_of_others = on_rules_of_others,
	.on_lost = on_lost,
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || unshare(CLONE_NEWNET) < 0 || sd_event_new(&w->event) < 0 ||
	    fw_new(w->event, &callbacks, w, &w->fw) < 0)
		return -1;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	fw_free(w->fw);
	sd_event_unref(w->event);
	free(w);
	return 0;
}

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* Handles everything that has happened until now. */
static void settle(struct world *w)
{
	while (sd_event_run(w->event, 50000) > 0)
		;
}

/* Brings the kernel to what is wanted; returns the number of changes. */
static size_t apply(struct world *w, const struct ruleset *wanted)
{
	struct ruleset observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal;
	size_t n;
	int r;

	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, wanted, &changes), 0);
	n = changes.n;
	r = fw_commit(w->fw, &changes, &refusal);
	if (r < 0)
		fail_msg("change %zu of %zu, op %d: %s (%s)", refusal.change, n,
			 refusal.change < n ? (int)changes.items[refusal.change].op : -1,
			 strerror(refusal.error), refusal.message);
	assert_int_equal(r, n > 0);
	vec_done(&changes);
	ruleset_done(&observed);
	return n;
}

static void assert_converged(struct world *w, const struct ruleset *wanted)
{
	assert_int_equal(apply(w, wanted), 0);
}

/* What is applied is read back as the same, also after nft has printed and loaded it again: nothing
 * but elements and counters may have changed its shape, least of all the damage mark. */
static void test_round_trip(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 }, observed;

	sample_build(&wanted);
	assert_true(apply(w, &wanted) > 0);
	assert_converged(w, &wanted);
	run("nft list ruleset > /tmp/test-fw-kernel.nft && nft flush ruleset && "
	    "nft -f /tmp/test-fw-kernel.nft && "
	    "nft list ruleset | diff /tmp/test-fw-kernel.nft - && rm /tmp/test-fw-kernel.nft");
	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_true(observed.tables[RULESET_IP6].present &&
		    observed.tables[RULESET_BRIDGE].present);
	assert_false(observed.tables[RULESET_IP6].damaged);
	assert_false(observed.tables[RULESET_BRIDGE].damaged);
	assert_true(ruleset_find_set(&observed.tables[RULESET_IP6], "pub_any")->counter);
	assert_false(ruleset_find_set(&observed.tables[RULESET_IP6], "source")->counter);
	ruleset_done(&observed);
	assert_converged(w, &wanted);
	ruleset_done(&wanted);
}

/* nft does not recognise a prefix that is compared by four bytes. */
#define LIST "nft list ruleset | sed 's,@nh.64.32 & 0xffc00000 == 0xfe800000,ip6 saddr fe80::/10,'"

/* The text form of a ruleset, loaded by nft, is what we would have sent: both renderings agree. */
static void test_text_agrees(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 };
	_cleanup_(freep) char *text = NULL;
	FILE *f;

	sample_build(&wanted);
	(void)apply(w, &wanted);
	run(LIST " > /tmp/test-fw-kernel.sent");
	assert_int_equal(nft_text_encode(&wanted, &text), 0);
	f = popen("nft -f -", "we");
	assert_non_null(f);
	assert_int_equal(fputs(text, f) < 0, 0);
	assert_int_equal(pclose(f), 0);
	run(LIST " | diff /tmp/test-fw-kernel.sent - && rm /tmp/test-fw-kernel.sent");
	assert_converged(w, &wanted);
	ruleset_done(&wanted);
}

static void source_map(struct ruleset *r, const char *const *prefixes, const int *order, size_t n)
{
	struct ruleset_table *t = &r->tables[RULESET_IP6];
	struct ruleset_set *s;

	*r = (struct ruleset){ 0 };
	t->present = true;
	sample_chain(t, "target");
	SAMPLE_RULE(t, SAMPLE_VERDICT(ACCEPT));
	s = sample_set(t, "source", RULESET_VERDICT_MAP, RULESET_SADDR, 0, 0);
	s->interval = true;
	for (size_t i = 0; i < n; i++)
		sample_in_prefix(s, prefixes[order[i]], "target");
	ruleset_finish(r);
}

static void apply_prefixes(struct world *w, const char *const *prefixes, const int *order, size_t n)
{
	struct ruleset r;

	source_map(&r, prefixes, order, n);
	(void)apply(w, &r);
	assert_converged(w, &r);
	ruleset_done(&r);
}

static void permute(int *order, size_t n, size_t at, void (*f)(struct world *, const int *),
		    struct world *w)
{
	if (at == n)
		f(w, order);
	for (size_t i = at; i < n; i++) {
		int kept = order[at];

		order[at] = order[i];
		order[i] = kept;
		permute(order, n, at + 1, f, w);
		kept = order[at];
		order[at] = order[i];
		order[i] = kept;
	}
}

static const char *const adjacent[] = { "fd00:0:0:1::/64", "fd00:0:0:2::/63", "fd00:0:0:4::/64",
					"fd00:0:0:5::/64" };

static void one_order(struct world *w, const int *order)
{
	for (size_t n = 1; n <= N_ELEMENTS(adjacent); n++)
		apply_prefixes(w, adjacent, order, n);
	/* The first one added goes first, then the others in this order. */
	for (size_t n = 1; n <= N_ELEMENTS(adjacent); n++)
		apply_prefixes(w, adjacent, order + n, N_ELEMENTS(adjacent) - n);
}

/* Where one prefix ends and the next begins, both ends have the same key: in every order of
 * additions and removals the kernel keeps exactly what is wanted. */
static void test_adjacent_prefixes(void **state)
{
	int order[] = { 0, 1, 2, 3 };

	permute(order, N_ELEMENTS(order), 0, one_order, *state);
}

/* The ends of the address space, and prefixes that replace others in one transaction. */
static void test_odd_prefixes(void **state)
{
	static const char *const prefixes[] = {
		"::/0",    "::/1",     "8000::/1",  "::/128",
		"::1/128", "ff00::/8", "fe80::/10", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"
	};

	apply_prefixes(*state, prefixes, (int[]){ 0 }, 1);
	apply_prefixes(*state, prefixes, (int[]){ 1, 2 }, 2);
	apply_prefixes(*state, prefixes, (int[]){ 2 }, 1);
	apply_prefixes(*state, prefixes, (int[]){ 3, 4, 5, 6 }, 4);
	apply_prefixes(*state, prefixes, (int[]){ 4, 6, 7 }, 3);
	apply_prefixes(*state, prefixes, NULL, 0);
	apply_prefixes(*state, prefixes, (int[]){ 1 }, 1);
}

/* A port that moves to another container is a deletion and an addition of one key. */
static void test_element_moves(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 };
	struct ruleset_set *s;
	struct in6_addr other = sample_address("fd00:a::a2");

	sample_build(&wanted);
	(void)apply(w, &wanted);
	s = ruleset_find_set(&wanted.tables[RULESET_IP6], "pub_any");
	memcpy(s->elements.items[0].data, &other, sizeof(other));
	assert_int_equal(apply(w, &wanted), 2);
	assert_converged(w, &wanted);
	s = ruleset_find_set(&wanted.tables[RULESET_IP6], "source");
	strcpy(s->elements.items[0].chain, "post_b");
	assert_int_equal(apply(w, &wanted), 2);
	assert_converged(w, &wanted);
	ruleset_done(&wanted);
}

/* Chains, rules and sets come, change and go, with what refers to them. */
static void test_objects_change(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 }, other = { 0 };
	struct ruleset_table *t = &other.tables[RULESET_IP6];

	sample_build(&wanted);
	(void)apply(w, &wanted);
	sample_build(&other);
	sample_chain(t, "post_c");
	SAMPLE_RULE(t, SAMPLE_EXPR(MASQUERADE));
	sample_name(sample_set(t, "more", RULESET_VERDICT_MAP, RULESET_IIFNAME, 0, 0), "br-c")
		->verdict = RULESET_JUMP;
	strcpy(t->sets.items[t->sets.n - 1].elements.items[0].chain, "post_c");
	t->chains.items[0].rules.n--; /* of "forward" */
	ruleset_finish(&other);
	assert_true(apply(w, &other) > 0);
	assert_converged(w, &other);
	assert_true(apply(w, &wanted) > 0);
	assert_converged(w, &wanted);
	ruleset_done(&other);
	other = (struct ruleset){ 0 };
	assert_int_equal(apply(w, &other), 2);
	run("test -z \"$(nft list tables)\"");
	ruleset_done(&wanted);
}

/* Whatever others do to our table, one pass puts it right. */
static void test_damage(void **state)
{
	static const char *const damages[] = {
		"nft add table ip6 ipv6nat '{ flags dormant; }'",
		"nft add set ip6 ipv6nat x '{ type ipv6_addr; flags timeout; }'",
		"nft add set ip6 ipv6nat x '{ type ether_addr; }'",
		"nft add element ip6 ipv6nat trusted '{ fd00::1-fd00::5 }'",
		"nft add chain ip6 ipv6nat x '{ type filter hook input priority 0; policy drop; }'",
		"nft add chain ip6 ipv6nat xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		"nft 'flush table ip6 ipv6nat; add rule ip6 ipv6nat forward drop'",
		"nft insert rule ip6 ipv6nat forward ip6 saddr '{ ::1, ::2 }' drop",
		"nft flush chain ip6 ipv6nat forward",
		"nft add rule ip6 ipv6nat forward drop comment '\"ipv6nat:00000000000000zz\"'",
		"nft delete table ip6 ipv6nat",
		"nft flush set ip6 ipv6nat trusted",
		"nft flush map ip6 ipv6nat source",
		"nft add element ip6 ipv6nat bridges '{ foreign }'",
		"nft add map ip6 ipv6nat m '{ type ipv6_addr : mark; }'",
		/* Before Linux 5.13 there is no such thing, and nothing to be noticed. */
		"nft add element ip6 ipv6nat host '{ * : accept }' 2>/dev/null || "
		"nft flush map ip6 ipv6nat source",
	};
	struct world *w = *state;
	struct ruleset wanted = { 0 };

	sample_build(&wanted);
	(void)apply(w, &wanted);
	for (size_t i = 0; i < N_ELEMENTS(damages); i++) {
		run(damages[i]);
		if (apply(w, &wanted) == 0)
			fail_msg("not noticed: %s", damages[i]);
		assert_converged(w, &wanted);
	}
	ruleset_done(&wanted);
}

/* A refused element is named among thousands, and without it everything else is applied. */
static void test_refused_element(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 }, observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal = { 0 };
	struct ruleset_set *s;
	size_t i;

	sample_build(&wanted);
	s = ruleset_find_set(&wanted.tables[RULESET_IP6], "source");
	for (unsigned n = 0; n < 3000; n++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "fd01:0:%x::/64", n);
		sample_in_prefix(s, text, "post_a");
	}
	sample_in_prefix(s, "fd02::/64", "missing");
	ruleset_finish(&wanted);
	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, &wanted, &changes), 0);
	assert_int_equal(fw_commit(w->fw, &changes, &refusal), -ENOENT);
	assert_int_equal(refusal.error, ENOENT);
	assert_true(refusal.change < changes.n);
	assert_int_equal(changes.items[refusal.change].op, RULESET_ADD_ELEMENT);
	assert_string_equal(changes.items[refusal.change].element->chain, "missing");
	run("test -z \"$(nft list tables)\"");
	i = (size_t)(changes.items[refusal.change].element - s->elements.items);
	vec_done(&changes);
	ruleset_done(&observed);
	vec_remove(&s->elements, i);
	assert_true(apply(w, &wanted) > 3000);
	assert_converged(w, &wanted);
	ruleset_done(&wanted);
}

/* What is refused only because somebody else was faster is no refusal: it is asked for again. */
static void test_overtaken(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 }, observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal = { 0 };

	sample_build(&wanted);
	(void)apply(w, &wanted);
	run("nft flush map ip6 ipv6nat pub_any");
	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, &wanted, &changes), 0);
	assert_int_equal(changes.items[0].op, RULESET_ADD_ELEMENT);
	run("nft delete table ip6 ipv6nat");
	assert_int_equal(fw_commit(w->fw, &changes, &refusal), -ERESTART);
	assert_int_equal(refusal.change, changes.n);
	vec_done(&changes);
	ruleset_done(&observed);
	(void)apply(w, &wanted);
	assert_converged(w, &wanted);
	ruleset_done(&wanted);
}

/* The kernel's own words reach the caller. */
static void test_refused_chain(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 }, observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal = { 0 };

	wanted.tables[RULESET_BRIDGE].present = true;
	sample_chain(&wanted.tables[RULESET_BRIDGE], "fine");
	sample_base_chain(&wanted.tables[RULESET_BRIDGE], "nat", true, RULESET_HOOK_PREROUTING, 0);
	ruleset_finish(&wanted);
	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, &wanted, &changes), 0);
	assert_true(fw_commit(w->fw, &changes, &refusal) < 0);
	assert_int_equal(changes.items[refusal.change].op, RULESET_ADD_CHAIN);
	assert_string_equal(changes.items[refusal.change].chain->name, "nat");
	vec_done(&changes);
	ruleset_done(&observed);
	ruleset_done(&wanted);
}

/* Others are noticed and named; we ourselves, and tables of no interest, are not. */
static void test_monitor(void **state)
{
	struct world *w = *state;
	struct ruleset wanted = { 0 };

	sample_build(&wanted);
	(void)apply(w, &wanted);
	settle(w);
	assert_int_equal(w->n_foreign + w->n_others + w->n_lost, 0);
	run("nft add table ip6 stranger; nft add table ip ipv6nat; nft add table ip filter");
	settle(w);
	assert_int_equal(w->n_foreign + w->n_others + w->n_lost, 0);
	run("nft add table ip6 docker-bridges");
	settle(w);
	assert_int_equal(w->n_others, 1);
	run("nft flush ruleset");
	settle(w);
	assert_int_equal(w->n_foreign, 1);
	assert_string_equal(w->process, "nft");
	assert_int_equal(w->n_others, 2);
	assert_true(apply(w, &wanted) > 0);
	run("nft add element bridge ipv6nat isolated '{ veth9 }'");
	settle(w);
	assert_int_equal(w->n_foreign, 2);
	assert_int_equal(w->n_lost, 0);
	ruleset_done(&wanted);
}

/* Lost notifications are told, once, and the monitor goes on. */
static void test_lost_notifications(void **state)
{
	struct world *w = *state;
	const int small = 1;

	assert_int_equal(
		setsockopt(w->fw->monitor.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	run("for i in $(seq 50); do echo add table ip6 t$i; done | nft -f -");
	settle(w);
	assert_int_equal(w->n_lost, 1);
	assert_int_equal(w->n_others, 1);
	run("nft add table ip6 docker-bridges");
	settle(w);
	assert_int_equal(w->n_others, 2);
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void build_ports(struct ruleset *r, unsigned n)
{
	struct ruleset_set *s;

	*r = (struct ruleset){ 0 };
	sample_build(r);
	s = ruleset_find_set(&r->tables[RULESET_IP6], "pub_any");
	s->elements.n = 0;
	for (unsigned i = 0; i < n; i++)
		sample_port(s, NULL, IPPROTO_TCP, (uint16_t)i, "fd00:a::a1", (uint16_t)i);
	ruleset_finish(r);
}

static void measure(struct world *w, unsigned n)
{
	struct ruleset wanted, observed;
	struct ruleset_changes changes;
	struct fw_refusal refusal;
	struct nft_batch batch;
	double begin, encoded, committed;

	build_ports(&wanted, n);
	assert_int_equal(fw_read(w->fw, &observed), 0);
	assert_int_equal(ruleset_diff(&observed, &wanted, &changes), 0);
	begin = now_ms();
	assert_int_equal(nft_batch_encode(&changes, 1, false, &batch), 0);
	encoded = now_ms();
	assert_int_equal(fw_commit(w->fw, &changes, &refusal), 1);
	committed = now_ms();
	vec_done(&changes);
	ruleset_done(&observed);
	assert_int_equal(fw_read(w->fw, &observed), 0);
	print_message(
		"%6u ports: %zu bytes, encode %.2f ms, encode and commit %.2f ms, read %.2f ms\n",
		n, batch.length, encoded - begin, committed - encoded, now_ms() - committed);
	assert_int_equal(ruleset_diff(&observed, &wanted, &changes), 0);
	assert_int_equal(changes.n, 0);
	nft_batch_done(&batch);
	ruleset_done(&observed);
	ruleset_done(&wanted);
	run("nft flush ruleset");
}

/* While a large transaction is under way, the monitor does not listen: who commits in between is
 * noticed all the same, and nobody else makes it read again. */
static void test_suspended_monitor(void **state)
{
	struct world *w = *state;
	struct ruleset wanted;
	uint32_t generation;

	build_ports(&wanted, 1000);
	(void)apply(w, &wanted);
	settle(w);
	assert_int_equal(w->n_lost + w->n_foreign + w->n_others, 0);
	fw_monitor_suspend(w->fw, &generation);
	run("nft flush ruleset");
	fw_monitor_resume(w->fw, generation);
	settle(w);
	assert_int_equal(w->n_lost, 1);
	assert_int_equal(w->n_others, 1);
	assert_true(apply(w, &wanted) > 1000);
	run("nft flush ruleset");
	settle(w);
	assert_int_equal(w->n_foreign, 1);
	assert_int_equal(w->n_lost, 1);
	ruleset_done(&wanted);
}

/* Starts an nft that adds a set of so many elements to our table, in one transaction. */
static pid_t start_large_change(const char *set, unsigned n_elements)
{
	pid_t pid = fork();
	FILE *f;

	if (pid != 0)
		return pid;
	f = popen("nft -f -", "we");
	if (!f)
		_exit(1);
	fprintf(f, "add set ip6 ipv6nat %s { type ipv6_addr; }\n", set);
	fprintf(f, "add element ip6 ipv6nat %s {", set);
	for (unsigned i = 0; i < n_elements; i++)
		fprintf(f, "%sfd99::%x", i ? "," : "", i);
	fputs("}\n", f);
	_exit(pclose(f) == 0 ? 0 : 1);
}

/* Nor is a large transaction missed that is still being told when ours begins. */
static void test_suspended_while_told(void **state)
{
	struct world *w = *state;
	struct ruleset few, many;
	const struct ruleset *wanted[] = { &few, &many };

	build_ports(&few, 1);
	build_ports(&many, FW_LARGE_COMMIT + 1);
	(void)apply(w, &few);
	for (unsigned i = 0; i < 6; i++) {
		struct ruleset_changes changes;
		struct fw_refusal refusal;
		uint32_t before, now;
		char set[16];
		bool ended;
		int status;
		pid_t pid;

		assert_int_equal(ruleset_diff(wanted[i % 2], wanted[(i + 1) % 2], &changes), 0);
		w->n_foreign = w->n_lost = 0;
		assert_int_equal(fw_read_generation(w->fw, &before), 0);
		(void)snprintf(set, sizeof(set), "large%u", i);
		pid = start_large_change(set, 20000);
		do {
			ended = waitpid(pid, &status, WNOHANG) == pid;
			assert_int_equal(fw_read_generation(w->fw, &now), 0);
		} while (now == before && !ended);
		assert_int_not_equal(now, before);
		assert_int_equal(fw_commit(w->fw, &changes, &refusal), 1);
		assert_true(ended || waitpid(pid, &status, 0) == pid);
		assert_int_equal(status, 0);
		vec_done(&changes);
		settle(w);
		assert_true(w->n_foreign + w->n_lost > 0);
	}
	ruleset_done(&few);
	ruleset_done(&many);
}

static bool is_linux_5(void)
{
	struct utsname name;

	return uname(&name) == 0 && strncmp(name.release, "5.", 2) == 0;
}

/*
 * As many elements as there are ports go into one transaction, and come back. Linux 5.10 has no
 * memory for somewhat more than 15,000 new counters at once, and miscounts the users of nft_counter
 * when it says so: no counter can be made any more until the next boot.
 */
static void test_many_elements(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++)
		measure(w, 1000);
	for (unsigned i = 0; i < 3; i++)
		measure(w, 10000);
	if (!is_linux_5())
		measure(w, 65000);
	settle(w);
	assert_int_equal(w->n_lost, 0);
}

static void assert_docker_rules(struct world *w, const char *const *names, size_t n)
{
	struct links links = { 0 };

	assert_int_equal(fw_read_rules_of_others(w->fw, &links), 0);
	for (size_t i = 0; i < links.docker_rules.n; i++)
		if (i >= n || strcmp(links.docker_rules.items[i].name, names[i]) != 0)
			fail_msg("unexpected: %s", links.docker_rules.items[i].name);
	assert_int_equal(links.docker_rules.n, n);
	links_done(&links);
}

#define ENGINE_20                                                                              \
	"*filter\n:DOCKER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n"                        \
	"-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"                                             \
	"-A FORWARD -o br-n6 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"           \
	"-A FORWARD -o br-n6 -j DOCKER\n"                                                      \
	"-A FORWARD -i br-n6 ! -o br-n6 -j ACCEPT\n"                                           \
	"-A DOCKER -d fd00:30::2/128 ! -i br-n6 -o br-n6 -p tcp -m tcp --dport 80 -j ACCEPT\n" \
	"COMMIT\n"
/* docker-ipv6nat's leftovers, a rule of the admin's, one of ours, a wildcard, an inverted match. */
#define OTHERS                                                                                  \
	"*filter\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n:IPV6NAT-FORWARD - [0:0]\n"            \
	"-A FORWARD -j IPV6NAT-FORWARD\n"                                                       \
	"-A FORWARD -o br-old -j DOCKER\n"                                                      \
	"-A FORWARD -o br-old -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"           \
	"-A FORWARD -o br-x+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"            \
	"-A FORWARD -o br-x+ -j DOCKER\n"                                                       \
	"-A FORWARD ! -o br-y -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"           \
	"-A FORWARD ! -o br-y -j DOCKER\n"                                                      \
	"-A FORWARD -o br-z -p tcp -j ACCEPT\n-A FORWARD -o br-z -j DOCKER\n"                   \
	"-A DOCKER-USER -o br-u -j ACCEPT\n"                                                    \
	"-A IPV6NAT-FORWARD -o br-old -j ACCEPT\n"                                              \
	"-A DOCKER -d fd00:6::2/128 ! -i br-old -o br-old -p tcp -m tcp --dport 80 -j ACCEPT\n" \
	"COMMIT\n"
#define ENGINE_28                                                                     \
	"*filter\n:DOCKER - [0:0]\n:DOCKER-BRIDGE - [0:0]\n:DOCKER-CT - [0:0]\n"      \
	":DOCKER-FORWARD - [0:0]\n-A FORWARD -j DOCKER-FORWARD\n"                     \
	"-A DOCKER ! -i br-drop -o br-drop -j DROP\n"                                 \
	"-A DOCKER-BRIDGE -o br-a -j DOCKER\n-A DOCKER-BRIDGE -o docker0 -j DOCKER\n" \
	"-A DOCKER-CT -o br-a -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n" \
	"-A DOCKER-FORWARD -i br-a -j ACCEPT\n"                                       \
	"COMMIT\n"

static void restore(const char *program, const char *rules)
{
	char command[4096];

	(void)snprintf(command, sizeof(command), "%s <<'END'\n%sEND\n", program, rules);
	run(command);
}

/* Docker's rules of all generations are found by both kinds of ip6tables and as nft tables; other
 * programs' rules of much the same shape are not. */
static void docker_rules(struct world *w, const char *program)
{
	static const char *const v20[] = { "br-n6" }, *const v28[] = { "br-a", "br-drop",
								       "docker0" };

	assert_docker_rules(w, NULL, 0);
	restore(program, OTHERS);
	assert_docker_rules(w, NULL, 0);
	restore(program, ENGINE_20);
	assert_docker_rules(w, v20, N_ELEMENTS(v20));
	restore(program, ENGINE_28);
	assert_docker_rules(w, v28, N_ELEMENTS(v28));
}

/* docker-ipv6nat's, as it writes them, beside rules of much the same shape. */
#define LEFTOVERS                                                                                 \
	"*filter\n:DOCKER - [0:0]\n:DOCKER-USER - [0:0]\n:DOCKER-ISOLATION-STAGE-1 - [0:0]\n"     \
	":DOCKER-ISOLATION-STAGE-2 - [0:0]\n"                                                     \
	"-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"                     \
	"-A FORWARD -o br-a -j DOCKER\n"                                                          \
	"-A FORWARD -o br-a -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"               \
	"-A FORWARD -o br-x -j ACCEPT\n-A FORWARD ! -o br-y -j DOCKER\n"                          \
	"-A DOCKER-ISOLATION-STAGE-1 ! -i br-in -o br-in -j DROP\n"                               \
	"-A DOCKER-ISOLATION-STAGE-2 -o br-old -j DROP\n"                                         \
	"-A DOCKER-USER -j RETURN\nCOMMIT\n"                                                      \
	"*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"           \
	"-A POSTROUTING -o br-a -m addrtype --dst-type LOCAL -j MASQUERADE\n"                     \
	"-A POSTROUTING -o br-src -m addrtype --src-type LOCAL -j MASQUERADE\n"                   \
	"-A POSTROUTING -o br-both -m addrtype --src-type LOCAL --dst-type LOCAL -j MASQUERADE\n" \
	"-A POSTROUTING -o br-not -m addrtype ! --dst-type LOCAL -j MASQUERADE\n"                 \
	"-A POSTROUTING -o br-uni -m addrtype --dst-type UNICAST -j MASQUERADE\n"                 \
	"-A POSTROUTING -o br-all -j MASQUERADE\n"                                                \
	"-A POSTROUTING -o br-acc -m addrtype --dst-type LOCAL -j ACCEPT\nCOMMIT\n"

static void assert_leftovers(struct world *w, enum ip6tables kind, bool chains, bool user_rules,
			     const char *bridges, const char *marked)
{
	struct links links = { 0 };
	struct leftovers *l = &links.leftovers[kind];
	char found[256] = "", marks[256] = "";

	assert_int_equal(fw_read_rules_of_others(w->fw, &links), 0);
	vec_foreach (b, &l->bridges)
		(void)strcat(strcat(found, b->name), " ");
	vec_foreach (b, &l->marked)
		(void)strcat(strcat(marks, b->name), " ");
	assert_string_equal(found, bridges);
	assert_string_equal(marks, marked);
	assert_int_equal(l->chains, chains);
	assert_int_equal(l->user_rules, user_rules);
	l = &links.leftovers[kind == IP6TABLES_NFT ? IP6TABLES_LEGACY : IP6TABLES_NFT];
	assert_int_equal(l->bridges.n + l->marked.n + l->chains + l->user_rules, 0);
	links_done(&links);
}

/* What docker-ipv6nat leaves is told from rules of others by either kind of ip6tables, and which
 * kind holds it. */
static void leftovers(struct world *w, enum ip6tables kind)
{
	char command[64];

	assert_leftovers(w, kind, false, false, "", "");
	(void)snprintf(command, sizeof(command), "%s-restore", links_ip6tables_to_string(kind));
	restore(command, LEFTOVERS);
	assert_leftovers(w, kind, true, false, "br-a br-in br-old ", "br-a ");
	(void)snprintf(command, sizeof(command), "%s -I DOCKER-USER -p tcp -j RETURN",
		       links_ip6tables_to_string(kind));
	run(command);
	assert_leftovers(w, kind, true, true, "br-a br-in br-old ", "br-a ");
}

static void test_leftovers_nft(void **state)
{
	if (system("command -v ip6tables-nft-restore > /dev/null") != 0) {
		print_message("no ip6tables-nft\n");
		skip();
	}
	leftovers(*state, IP6TABLES_NFT);
}

static void test_leftovers_legacy(void **state)
{
	if (system("ip6tables-legacy -S > /dev/null 2>&1") != 0) {
		print_message("no ip6tables-legacy, or the kernel has no ip6_tables\n");
		skip();
	}
	leftovers(*state, IP6TABLES_LEGACY);
}

static void test_docker_rules_nft(void **state)
{
	if (system("command -v ip6tables-nft-restore > /dev/null") != 0) {
		print_message("no ip6tables-nft\n");
		skip();
	}
	docker_rules(*state, "ip6tables-nft-restore");
}

static void test_docker_rules_legacy(void **state)
{
	struct world *w = *state;

	if (system("ip6tables-legacy -S > /dev/null 2>&1") != 0) {
		print_message("no ip6tables-legacy, or the kernel has no ip6_tables\n");
		skip();
	}
	docker_rules(w, "ip6tables-legacy-restore");
}

static void test_docker_rules_bridges(void **state)
{
	static const char *const names[] = { "br-n6", "docker0" };

	run("nft add table ip6 docker-bridges");
	run("nft add chain ip6 docker-bridges nat-postrouting-out__docker0");
	run("nft add chain ip6 docker-bridges nat-postrouting-out__br-n6");
	run("nft add chain ip6 docker-bridges nat-postrouting-in__br-in");
	run("nft add table ip6 other; nft add chain ip6 other nat-postrouting-out__br-other");
	assert_docker_rules(*state, names, N_ELEMENTS(names));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_text_agrees),
		TEST(test_round_trip),
		TEST(test_adjacent_prefixes),
		TEST(test_odd_prefixes),
		TEST(test_element_moves),
		TEST(test_objects_change),
		TEST(test_damage),
		TEST(test_refused_element),
		TEST(test_refused_chain),
		TEST(test_overtaken),
		TEST(test_monitor),
		TEST(test_lost_notifications),
		TEST(test_suspended_monitor),
		TEST(test_suspended_while_told),
		TEST(test_many_elements),
		TEST(test_docker_rules_nft),
		TEST(test_docker_rules_legacy),
		TEST(test_docker_rules_bridges),
		TEST(test_leftovers_nft),
		TEST(test_leftovers_legacy),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root for network namespaces");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
