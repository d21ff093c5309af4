/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Following an engine that behaves as real ones do, and as they hopefully never will. */
#include "io/docker.h"

#include "base/log.h"
#include "unit/fake-engine.h"

#include <time.h>

/* Well below the back-off that has been reached by then; it is about a millisecond. */
#define NOTICED_US 1000000

struct world {
	struct fake *fake;
	struct docker *docker;
	struct snapshot *snapshot;
	unsigned n_changes;
	int synced; /* 1: not yet */
};

static void on_change(void *userdata)
{
	((struct world *)userdata)->n_changes++;
}

static void on_synced(void *userdata, int error)
{
	((struct world *)userdata)->synced = error;
}

static struct world *open_world(const char *engine, const char *api)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->fake = fake_new(engine, api);
	return w;
}

static void connect_to(struct world *w)
{
	char url[128];

	snprintf(url, sizeof(url), "unix://%s", w->fake->path);
	assert_int_equal(
		docker_new(w->fake->event,
			   &(struct docker_config){ .host = url, .resync_us = 3600000000ULL },
			   &(struct docker_callbacks){ .on_change = on_change }, w, &w->docker),
		0);
	w->snapshot = docker_snapshot(w->docker);
}

static void close_world(struct world *w)
{
	docker_free(w->docker);
	fake_free(w->fake);
	free(w);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void run_for(struct world *w, uint64_t us)
{
	for (uint64_t end = now_us() + us, now; (now = now_us()) < end;)
		assert_true(sd_event_run(w->fake->event, end - now) >= 0);
}

#define run_until(w, condition)                                                           \
	do {                                                                              \
		for (uint64_t end_ = now_us() + 10000000; !(condition);)                  \
			if (now_us() > end_)                                              \
				fail_msg("not within 10 s: %s", #condition);              \
			else                                                              \
				assert_true(sd_event_run((w)->fake->event, 100000) >= 0); \
	} while (0)

static struct world *follow(const char *engine, const char *api)
{
	struct world *w = open_world(engine, api);

	fake_start(w->fake);
	connect_to(w);
	run_until(w, w->snapshot->complete);
	/* the inspects in the background, and the members */
	run_for(w, 100000);
	return w;
}

static bool has_problem(struct world *w, enum problem_code code, const char *part)
{
	vec_foreach (p, docker_problems(w->docker))
		if (p->code == code && strstr(p->message, part))
			return true;
	return false;
}

static void send_event(struct world *w, const char *type, const char *action, const char *id,
		       const char *container)
{
	char line[512];
	int n = snprintf(
		line, sizeof(line),
		"{\"Type\":\"%s\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":"
		"{\"container\":\"%s\"}},\"timeNano\":1}\n",
		type, action, id, container);

	fake_send(fake_stream(w->fake), line, (size_t)n);
}

static void resync(struct world *w)
{
	w->synced = 1;
	assert_int_equal(docker_resync(w->docker, on_synced, w), 0);
	run_until(w, w->synced != 1);
}

/* Property: each engine's answers make a complete snapshot, in the API version that fits; every
 * container is inspected once, the members of IPv6 bridges are known; then nothing moves. */
static void test_start(void **state)
{
	static const struct {
		const char *engine, *api, *expected;
		size_t n_networks, n_containers;
	} table[] = {
		{ "20.10.24", "1.41", "1.41", 8, 9 },
		{ "28.5.2", "1.51", "1.51", 9, 10 },
		{ "29.7.2", "1.55", "1.52", 9, 10 },
		{ "29.7.2-nftables", "1.55", "1.52", 9, 10 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct world *w = follow(table[i].engine, table[i].api);
		struct snapshot *s = w->snapshot;
		unsigned n_changes;

		assert_true(s->engine.connected && s->engine.last_sync_us > 0);
		assert_string_equal(s->engine.api, table[i].expected);
		assert_int_equal(s->engine.version_major, atoi(table[i].engine));
		assert_int_equal(s->networks.n, table[i].n_networks);
		assert_int_equal(s->containers.n, table[i].n_containers);
		vec_foreach (c, &s->containers)
			assert_true(c->inspected && c->started_us);
		vec_foreach (n, &s->networks)
			assert_int_equal(n->members_known, n->ipv6 && !strcmp(n->driver, "bridge"));
		assert_int_equal(docker_problems(w->docker)->n, 0);
		/* the engine's clock, one second back: the recorded Date is 1795231800 */
		assert_int_equal(fake_seen(w->fake, "/events?since=1795231799&filters=%7B%22type"),
				 1);

		n_changes = w->n_changes;
		assert_int_equal(fake_seen(w->fake, fake_id(w->fake, "container-web")), 1);
		resync(w);
		assert_int_equal(w->synced, 0);
		run_for(w, 50000);
		assert_int_equal(w->n_changes, n_changes);
		assert_int_equal(fake_seen(w->fake, fake_id(w->fake, "container-web")), 1);
		close_world(w);
	}
}

/* Property: an engine that has dropped our API version names its own, which is used. */
static void test_minimum_version(void **state)
{
	static const char old[] =
		"{\"message\":\"client version 1.52 is too old. Minimum supported API "
		"version is 1.55, please upgrade your client to a newer version\"}";
	struct world *w = open_world("29.7.2", "1.60");

	(void)state;
	fake_route(w->fake, "/v1.52/", FAKE_JSON, 400, old);
	fake_start(w->fake);
	connect_to(w);
	run_until(w, w->snapshot->complete);
	assert_string_equal(w->snapshot->engine.api, "1.55");
	assert_int_equal(fake_seen(w->fake, "/v1.55/events"), 1);
	close_world(w);
}

/* Property: record separators, CR LF, several events in one piece and one event in pieces. */
static void test_framing(void **state)
{
	struct world *w = follow("28.5.2", "1.51");
	const char *web = fake_id(w->fake, "container-web"), *ula = fake_id(w->fake, "network-ula");
	uint64_t events = w->snapshot->engine.events;
	char text[2048];
	int n = snprintf(
		text, sizeof(text),
		"\x1e{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"%s\"}}\r\n\r\n"
		"\x1e{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"%s\"}}\n"
		"{\"Type\":\"image\",\"Action\":\"pull\"}\n{\"Type\":\"container\",",
		web, ula);

	(void)state;
	w->fake->log[0] = '\0';
	fake_send(fake_stream(w->fake), text, (size_t)n);
	run_until(w, w->snapshot->engine.events == events + 3);
	run_for(w, 20000);
	assert_int_equal(fake_seen(w->fake, web), 1);
	assert_int_equal(fake_seen(w->fake, ula), 1);
	n = snprintf(text, sizeof(text), "\"Action\":\"die\",\"Actor\":{\"ID\":\"%s\"}}\n", web);
	for (int i = 0; i < n; i++) {
		fake_send(fake_stream(w->fake), text + i, 1);
		assert_true(sd_event_run(w->fake->event, 0) >= 0);
	}
	run_until(w, w->snapshot->engine.events == events + 4);
	run_for(w, 20000);
	assert_int_equal(fake_seen(w->fake, web), 2);
	close_world(w);
}

/* Property: a burst of events about one object is two requests, and no third. */
static void test_burst(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web");
	unsigned n_changes = w->n_changes;

	(void)state;
	w->fake->log[0] = '\0';
	for (int i = 0; i < 50; i++)
		send_event(w, "container", "update", web, "");
	run_for(w, 50000);
	assert_in_range(fake_seen(w->fake, web), 1, 2);
	assert_int_equal(w->n_changes, n_changes);
	close_world(w);
}

/* Property: an inspect that does not return holds up neither the members of the network, nor other
 * containers, nor for long whoever waits for a resync. */
static void test_blocked_inspect(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web"), *ula = fake_id(w->fake, "network-ula");
	const char *plain = fake_id(w->fake, "container-plain");
	struct network *n = snapshot_find_network(w->snapshot, ula);
	char *other;

	(void)state;
	fake_route(w->fake, web, FAKE_HANG, 0, NULL);
	vec_foreach (f, &w->fake->files)
		if (strcmp(f->id, ula) == 0) {
			other = strstr(f->text, "fd00:6::2/64");
			memcpy(other, "fd00:6::7/64", 12);
		}
	w->fake->log[0] = '\0';
	send_event(w, "network", "connect", ula, web);
	send_event(w, "container", "start", plain, "");
	run_until(w, n->members.items[0].address.s6_addr[15] == 7 ||
			     n->members.items[1].address.s6_addr[15] == 7);
	run_until(w, fake_seen(w->fake, plain) == 1);
	assert_non_null(snapshot_find_container(w->snapshot, web));

	uint64_t begin = now_us();
	resync(w);
	assert_int_equal(w->synced, 0);
	assert_true(now_us() - begin < 4000000);
	close_world(w);
}

static bool is_member(struct world *w, const char *network, const char *container)
{
	vec_foreach (m, &snapshot_find_network(w->snapshot, network)->members)
		if (strcmp(m->container_id, container) == 0)
			return true;
	return false;
}

static struct fake_file *find_file(struct world *w, const char *id)
{
	vec_foreach (f, &w->fake->files)
		if (strcmp(f->id, id) == 0)
			return f;
	return NULL;
}

/* Property: a membership ends with the container's run, when the container itself is done with it, and
 * without an event of the network. */
static void test_membership_ends(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web"), *ula = fake_id(w->fake, "network-ula");
	char *status = strstr(find_file(w, web)->text, "\"running\"");

	(void)state;
	assert_true(is_member(w, ula, web));
	fake_route(w->fake, web, FAKE_HANG, 0, NULL);
	w->fake->log[0] = '\0';
	send_event(w, "container", "die", web, "");
	run_until(w, fake_seen(w->fake, web) == 1);
	memcpy(status, "\"exited\" ", 9);
	for (char *p = find_file(w, ula)->text; (p = strstr(p, web));)
		*p = *p == 'f' ? '0' : 'f';
	fake_unroute(w->fake);
	vec_foreach (c, &w->fake->connections)
		if (strstr((*c)->path, web))
			fake_recorded(*c);
	run_until(w, snapshot_find_container(w->snapshot, web)->state == CONTAINER_EXITED);
	run_until(w, !is_member(w, ula, web));
	close_world(w);
}

/* Property: who publishes ports on docker_gwbridge is known in the first snapshot. */
static void test_gwbridge_is_awaited(void **state)
{
	struct world *w = open_world("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web"), *ula = fake_id(w->fake, "network-ula");
	char list[512];

	(void)state;
	snprintf(list, sizeof(list),
		 "[{\"Id\":\"%s\",\"Name\":\"docker_gwbridge\",\"Driver\":\"bridge\","
		 "\"Scope\":\"local\",\"EnableIPv6\":true}]",
		 ula);
	fake_route(w->fake, "/networks", FAKE_JSON, 200, list);
	fake_route(w->fake, ula, FAKE_HANG, 0, NULL);
	fake_start(w->fake);
	connect_to(w);
	run_until(w, fake_seen(w->fake, ula) == 1);
	run_for(w, 50000);
	assert_false(w->snapshot->complete);
	vec_foreach (c, &w->fake->connections)
		if (strstr((*c)->path, ula))
			fake_recorded(*c);
	run_until(w, w->snapshot->complete);
	assert_true(is_member(w, ula, web));
	close_world(w);
}

/* Property: while a network cannot be read its members stay as they were known, but not for ever those
 * that do not run: a start that has failed meanwhile leaves no mapping behind. */
static void test_unreadable_network(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web"), *ula = fake_id(w->fake, "network-ula");
	const char *multi = fake_id(w->fake, "container-multi");

	(void)state;
	assert_true(is_member(w, ula, web) && is_member(w, ula, multi));
	snapshot_find_container(w->snapshot, web)->state = CONTAINER_CREATED;
	fake_route(w->fake, ula, FAKE_JSON, 500, "{\"message\":\"not now\"}");
	w->fake->log[0] = '\0';
	send_event(w, "network", "connect", ula, fake_id(w->fake, "container-plain"));
	run_until(w, fake_seen(w->fake, ula) >= 3);
	assert_true(is_member(w, ula, web));
	run_until(w, !is_member(w, ula, web));
	assert_true(is_member(w, ula, multi));
	fake_unroute(w->fake);
	close_world(w);
}

/* Property: an object that cannot be read, or must not, is kept as it was known, named as a
 * problem where it is refused, and read again by itself. */
static void test_bad_objects(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web");
	char deep[300];

	(void)state;
	memset(deep, '[', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	fake_route(w->fake, web, FAKE_JSON, 200, deep);
	send_event(w, "container", "update", web, "");
	run_until(w, has_problem(w, PROBLEM_DOCKER_LIMIT, "nested too deeply"));
	assert_non_null(snapshot_find_container(w->snapshot, web));
	fake_unroute(w->fake);
	run_until(w, docker_problems(w->docker)->n == 0);

	const struct fake_route bad[] = {
		{ .how = FAKE_JSON, .status = 500, .text = (char *)"{\"message\":\"boom\"}" },
		{ .how = FAKE_JSON, .status = 404, .text = (char *)"404 page not found\n" },
		{ .how = FAKE_JSON, .status = 200, .text = (char *)"{\"Id\":" },
		{ .how = FAKE_RAW, .text = (char *)"<html>nonsense</html>" },
		{ .how = FAKE_RAW,
		  .text = (char *)"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" },
		{ .how = FAKE_RAW, .text = (char *)"" },
		{ .how = FAKE_ENDLESS },
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		fake_route(w->fake, web, bad[i].how, bad[i].status, bad[i].text);
		w->fake->log[0] = '\0';
		send_event(w, "container", "update", web, "");
		run_until(w, fake_seen(w->fake, web) >= 2); /* tried again */
		assert_non_null(snapshot_find_container(w->snapshot, web));
		assert_true(w->snapshot->engine.connected);
		fake_unroute(w->fake);
		run_until(w, docker_problems(w->docker)->n == 0);
	}
	/* gone, by the engine's own word */
	fake_route(w->fake, web, FAKE_JSON, 404, "{\"message\":\"No such container\"}");
	send_event(w, "container", "die", web, "");
	run_until(w, !snapshot_find_container(w->snapshot, web));
	close_world(w);
}

/* Property: nothing that answers like this is taken for an engine; it is tried again with a
 * back-off, not in a loop, and found when it has become one. */
static void test_bad_engines(void **state)
{
	static const struct {
		const char *match;
		enum fake_how how;
		int status;
		const char *text, *why;
	} table[] = {
		{ "/_ping", FAKE_RAW, 0, "SSH-2.0-OpenSSH_9.2\r\n", "" },
		{ "/_ping", FAKE_RAW, 0, "HTTP/1.1 404 X\r\nContent-Length: 6\r\n\r\n<html>",
		  "not Docker" },
		{ "/_ping", FAKE_RAW, 0, "", "" },
		{ "/_ping", FAKE_ENDLESS, 0, NULL, "" },
		{ "/version", FAKE_JSON, 404, "{\"message\":\"page not found\"}",
		  "page not found" },
		{ "/version", FAKE_JSON, 200, "[]", "Version" },
		{ "/version", FAKE_JSON, 400,
		  "{\"message\":\"Minimum supported API version is 9.9\"}", "" },
		{ "/events", FAKE_JSON, 500, "{\"message\":\"boom\"}", "boom" },
		{ "/events", FAKE_JSON, 403, "{\"message\":\"no\"}", "no" },
		{ "/networks\n", FAKE_JSON, 500, "{\"message\":\"boom\"}",
		  "GET /networks: HTTP 500: boom" },
		{ "/networks\n", FAKE_JSON, 200, "{}", "not a list" },
		{ "/containers/json", FAKE_JSON, 200, "[{", "not JSON" },
		{ "/containers/json", FAKE_RAW, 0, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
		  "" },
	};
	struct world *w;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		w = open_world("28.5.2", "1.51");
		fake_start(w->fake);
		fake_route(w->fake, table[i].match, table[i].how, table[i].status, table[i].text);
		connect_to(w);
		run_until(w, has_problem(w, PROBLEM_DOCKER_DISCONNECTED, table[i].why) ||
				     has_problem(w, PROBLEM_DOCKER_LIMIT, ""));
		run_for(w, 300000);
		assert_false(w->snapshot->complete || w->snapshot->engine.connected);
		assert_in_range(fake_seen(w->fake, table[i].match), 1, 12);
		fake_unroute(w->fake);
		run_until(w, w->snapshot->complete && w->snapshot->engine.connected);
		assert_int_equal(docker_problems(w->docker)->n, 0);
		close_world(w);
	}
}

/* Property: an info that nobody gives is done without. */
static void test_no_info(void **state)
{
	struct world *w = open_world("20.10.24", "1.41");

	(void)state;
	fake_start(w->fake);
	fake_route(w->fake, "/info", FAKE_JSON, 403, "{\"message\":\"denied\"}");
	connect_to(w);
	run_until(w, w->snapshot->complete);
	close_world(w);

	w = open_world("20.10.24", "1.41");
	fake_start(w->fake);
	fake_route(w->fake, "/info", FAKE_JSON, 200, "{\"SecurityOptions\":[\"name=rootless\"]}");
	connect_to(w);
	run_until(w, w->snapshot->complete);
	assert_true(has_problem(w, PROBLEM_ROOTLESS, ""));
	close_world(w);
}

/* Property: the end of the stream, in the middle of a line too, keeps everything known; the
 * engine's return needs no change but to be connected. */
static void test_engine_goes_and_comes(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	struct snapshot *s = w->snapshot;
	size_t n = s->containers.n;

	(void)state;
	s->networks.items[0].docker_rules = DOCKER_RULES_PRESENT;
	resync(w);
	assert_int_equal(s->networks.items[0].docker_rules, DOCKER_RULES_PRESENT);
	fake_send(fake_stream(w->fake), "{\"Type\":\"cont", 13);
	run_for(w, 10000);
	fake_stop(w->fake);
	run_until(w, !s->engine.connected);
	assert_true(has_problem(w, PROBLEM_DOCKER_DISCONNECTED, ""));
	run_for(w, 400000); /* the back-off has grown */
	assert_int_equal(s->containers.n, n);
	assert_true(s->complete);
	assert_int_equal(s->networks.items[0].docker_rules, DOCKER_RULES_PRESENT);

	/* somebody asks meanwhile */
	resync(w);
	assert_true(w->synced < 0);

	fake_start(w->fake);
	run_until(w, s->engine.connected);
	assert_int_equal(s->containers.n, n);
	assert_int_equal(s->networks.items[0].docker_rules, DOCKER_RULES_UNKNOWN);
	assert_int_equal(docker_problems(w->docker)->n, 0);
	close_world(w);
}

/* Property: the daemon may be there first, and the socket's directory may come with it. */
static void test_socket_appears(void **state)
{
	struct world *w = open_world("28.5.2", "1.51");
	uint64_t begin;

	(void)state;
	connect_to(w);
	run_until(w, has_problem(w, PROBLEM_DOCKER_DISCONNECTED, "No such file"));
	run_for(w, 1700000); /* the next attempt of its own is 1.4 s away */
	begin = now_us();
	fake_start(w->fake);
	run_until(w, fake_seen(w->fake, "/_ping"));
	assert_true(now_us() - begin < NOTICED_US);
	run_until(w, w->snapshot->complete);
	close_world(w);
}

/* Property: what was removed while the lists were under way does not come back with them; what
 * they do not name is dropped; a membership ends with the container. */
static void test_lists_race(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	const char *web = fake_id(w->fake, "container-web"),
		   *multi = fake_id(w->fake, "container-multi");
	const char *ula = fake_id(w->fake, "network-ula");

	(void)state;
	/* The list of containers waits; meanwhile one of them is destroyed. */
	fake_route(w->fake, "/containers/json", FAKE_HANG, 0, NULL);
	w->synced = 1;
	w->fake->log[0] = '\0';
	assert_int_equal(docker_resync(w->docker, on_synced, w), 0);
	run_until(w, fake_seen(w->fake, "/containers/json") == 1);
	send_event(w, "container", "destroy", web, "");
	run_until(w, !snapshot_find_container(w->snapshot, web));
	run_until(w, fake_seen(w->fake, ula) >= 1); /* it was a member there */
	fake_unroute(w->fake);
	vec_foreach (c, &w->fake->connections)
		if (strstr((*c)->path, "/containers/json")) {
			fake_recorded(*c);
			break;
		}
	run_until(w, w->synced == 0);
	assert_null(snapshot_find_container(w->snapshot, web));
	assert_non_null(snapshot_find_container(w->snapshot, multi));

	fake_route(w->fake, "/containers/json", FAKE_JSON, 200, "[]");
	fake_route(w->fake, "/networks\n", FAKE_JSON, 200, "[]");
	resync(w);
	assert_int_equal(w->snapshot->containers.n, 0);
	assert_int_equal(w->snapshot->networks.n, 0);
	close_world(w);
}

/* Property: an event that cannot be read costs a resync, not the connection. */
static void test_bad_event(void **state)
{
	struct world *w = follow("20.10.24", "1.41");

	(void)state;
	w->fake->log[0] = '\0';
	for (int i = 0; i < 100; i++)
		fake_send(fake_stream(w->fake), "<html>\n{\"Type\":\"network\"\n", 25);
	run_until(w, fake_seen(w->fake, "/containers/json") == 1);
	run_for(w, 200000);
	assert_int_equal(fake_seen(w->fake, "/containers/json"), 1);
	assert_true(w->snapshot->engine.connected);
	close_world(w);
}

/* Property: a stream without a line's end is cut at the bound; the rest is kept. */
static void test_endless_line(void **state)
{
	struct world *w = follow("20.10.24", "1.41");
	struct fake_connection *c = fake_stream(w->fake);

	(void)state;
	c->is_endless = true;
	fake_flush(c);
	run_until(w, has_problem(w, PROBLEM_DOCKER_LIMIT, "too long"));
	assert_int_equal(w->snapshot->containers.n, 9);
	run_until(w, w->snapshot->engine.connected);
	close_world(w);
}

/* Property: addresses that cannot be meant are refused at once, others are as docker reads them. */
static void test_urls(void **state)
{
	static const char *const good[] = {
		"unix:///run/docker.sock",     "tcp://192.0.2.1:2375",
		"tcp://[2001:db8::1]:2375",    "tcp://engine.example/",
		"https://engine.example:2376",
	};
	static const char *const bad[] = {
		"",
		"docker.sock",
		"unix://",
		"unix://run/docker.sock",
		"ssh://root@host",
		"fd://",
		"tcp://",
		"tcp:///x",
		"tcp://host:2375/path",
		"tcp://user@host:2375",
		"https://a b",
		"unix:///0123456789012345678901234567890123456789012345678901234567890123456789012345678"
		"9012345678901234567890123456789",
	};
	struct world w = {};
	sd_event *event;

	(void)state;
	assert_true(sd_event_new(&event) >= 0);
	for (size_t i = 0; i < N_ELEMENTS(bad) + N_ELEMENTS(good); i++) {
		bool is_bad = i < N_ELEMENTS(bad);
		struct docker *d = NULL;
		int r = docker_new(event,
				   &(struct docker_config){
					   .host = is_bad ? bad[i] : good[i - N_ELEMENTS(bad)] },
				   &(struct docker_callbacks){ .on_change = on_change }, &w, &d);

		assert_int_equal(r, is_bad ? -EINVAL : 0);
		docker_free(d);
	}
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_minimum_version),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_blocked_inspect),
		cmocka_unit_test(test_membership_ends),
		cmocka_unit_test(test_gwbridge_is_awaited),
		cmocka_unit_test(test_unreadable_network),
		cmocka_unit_test(test_bad_objects),
		cmocka_unit_test(test_bad_engines),
		cmocka_unit_test(test_no_info),
		cmocka_unit_test(test_engine_goes_and_comes),
		cmocka_unit_test(test_socket_appears),
		cmocka_unit_test(test_lists_race),
		cmocka_unit_test(test_bad_event),
		cmocka_unit_test(test_endless_line),
		cmocka_unit_test(test_urls),
	};

	log_set_level(getenv("VERBOSE") ? LOG_DEBUG : LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
