/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules for N published ports, made by the daemon's own code and by ip6tables, in the network
 * namespace it is started in (a fresh one, please: the rules stay there).
 *
 *   sync N              our tables, from nothing. Prints the microseconds of: plan, difference,
 *                       commit (encoding included). Read back and compared, then removed.
 *   exec N              the three rules that docker-ipv6nat makes for each port, one ip6tables
 *                       process per rule. Prints microseconds.
 *   exec-dnat N         only the one of them that translates
 *   restore N           all of them, one ip6tables-restore --noflush. Prints microseconds.
 *   script N PROTOCOL   the plan for the topology of datapath.py, as an nft script
 */
#include "io/fw.h"
#include "model/plan.h"
#include "model/ruleset-diff.h"
#include "wire/nft-text.h"

#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define FIRST_PORT 10000 /* as in datapath.py */
#define TARGET_PORT 9000

static void __attribute__((noreturn, format(printf, 2, 3))) die(int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fprintf(stderr, ": %s\n", strerror(error < 0 ? -error : error));
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die(ENOMEM, "bench-rules");
	return p;
}

static double now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* ------------------------------------------------------------- the world */

struct world {
	struct config config;
	struct snapshot snapshot;
	struct links links;
};

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	if (inet_parse(text, &a) < 0)
		die(EINVAL, "%s", text);
	return a;
}

static struct link *add_link(struct world *w, const char *name, const char *on_link)
{
	struct link *l = must(vec_add(&w->links.links));
	struct inet_prefix *p = must(vec_add(&l->on_link));

	l->ifindex = (int)w->links.links.n;
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	l->up = true;
	l->is_bridge = strncmp(name, "br", 2) == 0;
	l->forwarding = 1;
	l->accept_ra = l->force_forwarding = -1;
	if (inet_prefix_parse(on_link, p) < 0)
		die(EINVAL, "%s", on_link);
	return l;
}

static void add_address(struct link *l, const char *text)
{
	struct link_address *a = must(vec_add(&l->addresses));

	a->address = address(text);
	a->prefix_length = 64;
}

/* IDs are in order of addition, as the snapshot is sorted by them. */
static char *make_id(size_t n)
{
	char *id = must(malloc(DOCKER_ID_LENGTH + 1));

	(void)snprintf(id, DOCKER_ID_LENGTH + 1, "%064zx", n);
	return id;
}

static struct network *add_network(struct world *w, const char *bridge, const char *subnet)
{
	struct network *n = must(vec_add(&w->snapshot.networks));
	struct network_subnet *s = must(vec_add(&n->subnets));

	n->id = make_id(w->snapshot.networks.n);
	n->name = must(strdup(bridge));
	n->driver = must(strdup("bridge"));
	n->ipv6 = n->members_known = true;
	if (inet_prefix_parse(subnet, &s->prefix) < 0 ||
	    key_values_set(&n->options, "com.docker.network.bridge.name", bridge) < 0)
		die(EINVAL, "%s", subnet);
	return n;
}

static struct container *add_container(struct world *w, const char *network, struct in6_addr a)
{
	struct container *c = must(vec_add(&w->snapshot.containers));
	struct endpoint *e = must(vec_add(&c->endpoints));
	char name[16];

	c->id = make_id(w->snapshot.containers.n);
	(void)snprintf(name, sizeof(name), "c%zu", w->snapshot.containers.n);
	c->name = must(strdup(name));
	c->state = CONTAINER_RUNNING;
	c->started_us = w->snapshot.containers.n;
	c->inspected = true;
	e->network_name = must(strdup(network));
	vec_foreach (n, &w->snapshot.networks)
		if (strcmp(n->name, network) == 0)
			e->network_id = must(strdup(n->id));
	e->address = a;
	e->has_gateway4 = e->has_gateway6 = true;
	return c;
}

static void publish(struct container *c, uint8_t protocol, const char *host, unsigned port)
{
	struct port_binding *b = must(vec_add(&c->ports));

	b->protocol = protocol;
	b->host_ip_kind = HOST_IP_V6;
	b->host_ip = address(host);
	b->host_port = (uint16_t)port;
	b->container_port = TARGET_PORT;
}

static void init_world(struct world *w)
{
	*w = (struct world){};
	if (config_init(&w->config) < 0)
		die(ENOMEM, "bench-rules");
	w->links.complete = w->snapshot.complete = w->snapshot.engine.connected = true;
	w->links.all_forwarding = w->links.default_forwarding = 1;
	w->links.bridge_nf_call_ip6tables = -1;
	w->snapshot.engine.version = must(strdup("20.10.24"));
	w->snapshot.engine.version_major = 20;
	w->snapshot.engine.version_minor = 10;
	w->snapshot.engine.version_patch = 24;
}

static void world_done(struct world *w)
{
	config_done(&w->config);
	snapshot_done(&w->snapshot);
	links_done(&w->links);
}

/* One host, one network, a container for each published port. */
static void make_host(struct world *w, unsigned n)
{
	struct in6_addr a = address("fd00:d0c:1::");
	struct link *l;

	init_world(w);
	l = add_link(w, "eth0", "2001:db8:1::/64");
	l->default_route = true;
	add_address(l, "2001:db8:1::11");
	add_address(add_link(w, "br-bench", "fd00:d0c:1::/64"), "fd00:d0c:1::1");
	add_network(w, "br-bench", "fd00:d0c:1::/64");
	for (unsigned i = 0; i < n; i++) {
		a.s6_addr32[3] = htonl(i + 2);
		publish(add_container(w, "br-bench", a), IPPROTO_TCP, "::", FIRST_PORT + i);
	}
}

/* The router of datapath.py; its address ::20 is not told, as if it had come a moment ago. */
static void make_router(struct world *w, unsigned n, uint8_t protocol)
{
	struct container *a1, *a2, *b1;
	struct network *network;
	struct link *l;

	init_world(w);
	l = add_link(w, "up0", "2001:db8:1::/64");
	l->default_route = true;
	add_address(l, "2001:db8:1::1");
	add_address(l, "2001:db8:1::10");
	add_address(add_link(w, "brA", "fd00:a::/64"), "fd00:a::1");
	add_address(add_link(w, "brB", "fd00:b::/64"), "fd00:b::1");
	add_address(add_link(w, "brI", "fd00:1::/64"), "fd00:1::1");

	add_network(w, "brA", "fd00:a::/64");
	network = add_network(w, "brB", "fd00:b::/64");
	if (key_values_set(&network->labels, "ipv6nat.snat", "2001:db8:1::10") < 0)
		die(ENOMEM, "bench-rules");
	add_network(w, "brI", "fd00:1::/64")->internal = true;

	a1 = add_container(w, "brA", address("fd00:a::a1"));
	for (unsigned i = 0; i < n; i++)
		publish(a1, protocol, "::", FIRST_PORT + i);
	a2 = add_container(w, "brA", address("fd00:a::a2"));
	publish(a2, IPPROTO_UDP, "2001:db8:1::10", 7000);
	b1 = add_container(w, "brB", address("fd00:b::b1"));
	publish(b1, IPPROTO_UDP, "::", 7000);
	publish(b1, IPPROTO_TCP, "::", 7000);
	publish(b1, IPPROTO_UDP, "2001:db8:1::10", 7100);
	add_container(w, "brI", address("fd00:1::11"));
}

/* ----------------------------------------------------------------- verbs */

/* Microseconds of the difference, and of the commit. */
static void turn_into(struct fw *fw, const struct ruleset *from, const struct ruleset *to,
		      double ret_us[2])
{
	struct ruleset_changes changes = {};
	struct fw_refusal refusal = {};
	double began = now_us();
	int r;

	r = ruleset_diff(from, to, &changes);
	ret_us[0] = now_us() - began;
	if (r == 0)
		r = fw_commit(fw, &changes, &refusal);
	ret_us[1] = now_us() - began - ret_us[0];
	if (r < 0)
		die(r, "commit refused: %s", refusal.message);
	vec_done(&changes);
}

static void check_converged(struct fw *fw, const struct ruleset *wanted, unsigned n)
{
	struct ruleset_changes changes = {};
	struct ruleset observed = {};
	const struct ruleset_set *ports;
	int r;

	r = fw_read(fw, &observed);
	if (r >= 0)
		r = ruleset_diff(&observed, wanted, &changes);
	if (r < 0)
		die(r, "reading back");
	ports = ruleset_find_set(&observed.tables[RULESET_IP6], "publish_any");
	if (changes.n || !ports || ports->elements.n != n) {
		(void)fprintf(stderr, "the kernel does not hold what was committed\n");
		exit(2);
	}
	vec_done(&changes);
	ruleset_done(&observed);
}

static void sync_tables(unsigned n)
{
	static const struct fw_callbacks deaf;
	const struct ruleset nothing = {};
	double plan_us, us[2], ignored[2];
	sd_event *event = NULL;
	struct fw *fw = NULL;
	struct plan plan;
	struct world w;
	int r;

	make_host(&w, n);
	r = sd_event_new(&event);
	if (r >= 0)
		r = fw_new(event, &deaf, NULL, &fw);
	if (r < 0)
		die(r, "nf_tables");
	plan_us = now_us();
	r = plan_build(&w.config, &w.snapshot, &w.links, &plan);
	plan_us = now_us() - plan_us;
	if (r < 0)
		die(r, "plan");

	turn_into(fw, &nothing, &plan.ruleset, us);
	check_converged(fw, &plan.ruleset, n);
	turn_into(fw, &plan.ruleset, &nothing, ignored);
	(void)printf("%.1f %.1f %.1f\n", plan_us, us[0], us[1]);

	plan_done(&plan);
	world_done(&w);
	fw_free(fw);
	sd_event_unref(event);
}

static void print_script(unsigned n, const char *protocol)
{
	int number = inet_protocol_parse(protocol);
	char *text = NULL;
	struct plan plan;
	struct world w;
	int r;

	if (number < 0)
		die(number, "%s", protocol);
	make_router(&w, n, (uint8_t)number);
	r = plan_build(&w.config, &w.snapshot, &w.links, &plan);
	if (r == 0)
		r = nft_text_encode(&plan.ruleset, &text);
	if (r < 0)
		die(r, "plan");
	(void)fputs(text, stdout);
	free(text);
	plan_done(&plan);
	world_done(&w);
}

static pid_t spawn(const char *const argv[], int input)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&actions);
	if (input >= 0)
		posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	r = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	if (r)
		die(r, "%s", argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static void wait_for(pid_t pid, const char *what)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		(void)fprintf(stderr, "%s failed\n", what);
		exit(1);
	}
}

#define RULE_WORDS 20

/*
 * Rule number kind of mapping i, as words. These are the shapes of docker-ipv6nat, in chains that
 * always exist; its chain jumps, and its check of each rule before it adds it, are left out.
 */
static void make_rule(unsigned i, int kind, const char *words[RULE_WORDS])
{
	static const char *const shapes[][RULE_WORDS] = {
		{ "ip6tables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-m", "tcp", "--dport",
		  "HOST", "-j", "DNAT", "--to-destination", "TARGET" },
		{ "ip6tables", "-t", "filter", "-A", "FORWARD", "-d", "ADDRESS", "-o", "br-bench",
		  "-p", "tcp", "-m", "tcp", "--dport", "PORT", "-j", "ACCEPT" },
		{ "ip6tables", "-t", "nat", "-A", "POSTROUTING", "-s", "ADDRESS", "-d", "ADDRESS",
		  "-p", "tcp", "-m", "tcp", "--dport", "PORT", "-j", "MASQUERADE" },
	};
	static char host[16], target[64], address_text[32], port[16];

	(void)snprintf(host, sizeof(host), "%u", FIRST_PORT + i);
	(void)snprintf(address_text, sizeof(address_text), "fd00:d0c:1::%x", i + 2);
	(void)snprintf(target, sizeof(target), "[%s]:%d", address_text, TARGET_PORT);
	(void)snprintf(port, sizeof(port), "%d", TARGET_PORT);
	for (size_t w = 0; w < RULE_WORDS; w++) {
		const char *word = shapes[kind][w];

		words[w] = !word                          ? NULL
			   : strcmp(word, "HOST") == 0    ? host
			   : strcmp(word, "TARGET") == 0  ? target
			   : strcmp(word, "ADDRESS") == 0 ? address_text
			   : strcmp(word, "PORT") == 0    ? port
							  : word;
	}
}

static void exec_per_rule(unsigned n, int n_kinds)
{
	const char *words[RULE_WORDS];
	double began = now_us();

	for (unsigned i = 0; i < n; i++)
		for (int kind = 0; kind < n_kinds; kind++) {
			make_rule(i, kind, words);
			wait_for(spawn(words, -1), words[0]);
		}
	(void)printf("%.1f\n", now_us() - began);
}

static void put_rules(FILE *f, unsigned n, int kind)
{
	const char *words[RULE_WORDS];

	for (unsigned i = 0; i < n; i++) {
		make_rule(i, kind, words);
		for (size_t w = 3; words[w]; w++)
			(void)fprintf(f, "%s ", words[w]);
		(void)fputc('\n', f);
	}
}

static void restore_rules(unsigned n)
{
	static const char *const argv[] = { "ip6tables-restore", "--noflush", NULL };
	FILE *f = tmpfile();
	double began;

	if (!f)
		die(errno, "tmpfile");
	(void)fprintf(f, "*nat\n");
	put_rules(f, n, 0);
	put_rules(f, n, 2);
	(void)fprintf(f, "COMMIT\n*filter\n");
	put_rules(f, n, 1);
	(void)fprintf(f, "COMMIT\n");
	rewind(f);
	began = now_us();
	wait_for(spawn(argv, fileno(f)), argv[0]);
	(void)printf("%.1f\n", now_us() - began);
	(void)fclose(f);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	const char *verb = n > 0 && n <= 50000 ? argv[1] : "";

	if (argc == 3 && strcmp(verb, "sync") == 0)
		sync_tables(n);
	else if (argc == 3 && strcmp(verb, "exec") == 0)
		exec_per_rule(n, 3);
	else if (argc == 3 && strcmp(verb, "exec-dnat") == 0)
		exec_per_rule(n, 1);
	else if (argc == 3 && strcmp(verb, "restore") == 0)
		restore_rules(n);
	else if (argc == 4 && strcmp(verb, "script") == 0)
		print_script(n, argv[3]);
	else {
		(void)fprintf(stderr,
			      "usage: %s sync|exec|exec-dnat|restore N, or script N PROTOCOL\n",
			      argv[0]);
		return 2;
	}
	return 0;
}
