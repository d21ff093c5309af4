/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "wire/api-events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT(s) ((char *)(uintptr_t)(s))
#define TIME_US UINT64_C(1767225600123456)
#define TIME "{\"time\":\"2026-01-01T00:00:00.123Z\","

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	return a;
}

/* A status that has one of each. */
struct world {
	struct engine engine;
	struct status_uplink uplink;
	struct status_uplinks uplinks;
	struct status_network network;
	struct status_networks networks;
	struct status_container containers[2];
	struct status_port port;
	struct inet_prefix rule;
	struct status_ndp ndp;
	struct status_ndps ndps;
	struct problems problems;
	struct status status;
};

static void make_world(struct world *w)
{
	*w = (struct world){
		.engine = { .host = TEXT("unix:///s"),
			    .version = TEXT("20.10.24"),
			    .api = TEXT("1.41"),
			    .connected = true },
		.uplink = { .interface = "eth0", .up = true },
		.network = { .id = TEXT("n1"),
			     .name = TEXT("ula"),
			     .bridge = "br-1",
			     .mode = NET_MODE_NAT,
			     .reason = TEXT("ULA"),
			     .uplink = "eth0" },
		.containers = { { .id = TEXT("c1"),
				  .name = TEXT("web"),
				  .address = address("fd00:6::2"),
				  .answered = "eth0" },
				{ .id = TEXT("c2"),
				  .name = TEXT("db"),
				  .address = address("fd00:6::3") } },
		.port = { .protocol = IPPROTO_TCP,
			  .host_port = 8080,
			  .container_port = 80,
			  .connections = 5 },
		.ndp = { .interface = "eth0" },
		.rule = { .address = address("2001:db8::"), .length = 80 },
	};
	w->uplinks = (struct status_uplinks){ .items = &w->uplink, .n = 1 };
	w->containers[0].ports.items = &w->port;
	w->containers[0].ports.n = 1;
	w->network.containers.items = w->containers;
	w->network.containers.n = 1;
	w->networks = (struct status_networks){ .items = &w->network, .n = 1 };
	w->ndps = (struct status_ndps){ .items = &w->ndp, .n = 1 };
	w->status = (struct status){
		.version = "0.1.0",
		.state = "ok",
		.engine = &w->engine,
		.backend = "nftables",
		.commits = 3,
		.elements = 12,
		.config_reads = 1,
		.uplinks = &w->uplinks,
		.networks = &w->networks,
		.ndp = &w->ndps,
		.problems = { NULL, &w->problems, NULL },
	};
}

static int setup(void **state)
{
	struct world *w = malloc(sizeof(*w));

	if (!w)
		return -1;
	make_world(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	problems_done(&w->problems);
	free(w);
	return 0;
}

static struct api_picture *picture(const struct world *w)
{
	struct api_picture *p = NULL;

	assert_int_equal(api_picture_new(&w->status, &p), 0);
	return p;
}

/* Takes both over. */
static void assert_lines(struct api_picture *before, struct api_picture *after,
			 const char *expected)
{
	_cleanup_(freep) char *lines = NULL;

	assert_int_equal(api_events(before, after, TIME_US, &lines), 0);
	assert_string_equal(lines, expected);
	api_picture_free(before);
	api_picture_free(after);
}

/* What moves all the time is no change: connections, uptime, the engine's events. */
static void test_nothing(void **state)
{
	struct world *w = *state;
	struct api_picture *before = picture(w);

	w->port.connections++;
	w->status.uptime_s++;
	w->engine.events++;
	w->engine.last_sync_us++;
	w->ndp.counters.solicitations++;
	assert_lines(before, picture(w), "");
}

static void test_changed(void **state)
{
	struct world *w = *state;
	struct api_picture *before = picture(w);

	w->network.mode = NET_MODE_OFF;
	w->network.reason = TEXT("because \"so\"");
	w->status.commits = 4;
	w->status.elements = 10;
	assert_lines(
		before, picture(w),
		TIME
		"\"kind\":\"network\",\"change\":\"changed\",\"name\":\"ula\",\"id\":\"n1\","
		"\"bridge\":\"br-1\",\"subnets\":[],\"mode\":\"off\","
		"\"reason\":\"because \\\"so\\\"\",\"uplink\":\"eth0\",\"snat\":null,"
		"\"message\":\"network ula: mode off, because \\\"so\\\" (was: mode nat, reason "
		"ULA)\",\"was\":{\"mode\":\"nat\",\"reason\":\"ULA\"}}\n" TIME
		"\"kind\":\"ruleset\",\"change\":\"changed\",\"name\":\"ipv6nat\","
		"\"backend\":\"nftables\",\"commits\":4,\"repairs\":0,\"elements\":10,"
		"\"message\":\"ruleset: 10 elements, 4 commits, 0 repairs (was: commits 3, "
		"elements 12)\",\"was\":{\"commits\":3,\"elements\":12}}\n");
}

/* A container brings and takes its ports and its answered address. */
static void test_container(void **state)
{
	static const char added[] = TIME
		"\"kind\":\"container\",\"change\":\"added\",\"name\":\"web\",\"id\":\"c1\","
		"\"network\":\"ula\",\"address\":\"fd00:6::2\","
		"\"message\":\"container web in network ula: fd00:6::2\"}\n" TIME
		"\"kind\":\"port\",\"change\":\"added\",\"name\":\"8080/tcp\",\"network\":\"ula\","
		"\"container\":\"web\",\"protocol\":\"tcp\",\"host_address\":\"::\","
		"\"host_port\":8080,\"container_port\":80,\"state\":\"active\","
		"\"message\":\"port 8080/tcp of :: leads to container web, port 80, in network "
		"ula (active)\"}\n" TIME
		"\"kind\":\"address\",\"change\":\"added\",\"name\":\"fd00:6::2\","
		"\"interface\":\"eth0\",\"container\":\"web\","
		"\"message\":\"fd00:6::2 is answered on eth0\"}\n";
	_cleanup_(freep) char *lines = NULL;
	struct world *w = *state;
	struct api_picture *with = picture(w), *without;

	w->network.containers.n = 0;
	without = picture(w);
	assert_int_equal(api_events(with, without, TIME_US, &lines), 0);
	assert_non_null(strstr(lines, "\"kind\":\"port\",\"change\":\"removed\""));
	assert_non_null(strstr(lines, "\"message\":\"gone: container web in network ula"));
	assert_non_null(strstr(lines, "fd00:6::2 is no longer answered on eth0"));
	assert_lines(without, with, added);
}

/* One in the middle of others: its neighbours are not told of. */
static void test_neighbours(void **state)
{
	_cleanup_(freep) char *lines = NULL;
	struct world *w = *state;
	struct api_picture *one = picture(w), *two;

	w->network.containers.n = 2;
	two = picture(w);
	assert_int_equal(api_events(one, two, TIME_US, &lines), 0);
	assert_non_null(strstr(lines, "\"name\":\"db\""));
	assert_ptr_equal(strchr(lines, '\n') + 1, lines + strlen(lines));
	api_picture_free(one);
	api_picture_free(two);
}

/* Another one at the same place is another one. */
static void test_replaced(void **state)
{
	_cleanup_(freep) char *lines = NULL;
	struct world *w = *state;
	struct api_picture *before, *after;

	w->network.containers.items = &w->containers[1];
	w->network.containers.n = 1;
	before = picture(w);
	w->containers[1].id = TEXT("c3");
	after = picture(w);
	assert_int_equal(api_events(before, after, TIME_US, &lines), 0);
	assert_non_null(strstr(lines, "\"change\":\"removed\",\"name\":\"db\",\"id\":\"c2\""));
	assert_non_null(strstr(lines, "\"change\":\"added\",\"name\":\"db\",\"id\":\"c3\""));
	assert_null(strstr(lines, "\"changed\""));
	api_picture_free(before);
	api_picture_free(after);
}

static void test_rest(void **state)
{
	_cleanup_(freep) char *lines = NULL;
	struct world *w = *state;
	struct api_picture *before = picture(w), *after;

	w->engine.connected = false;
	w->status.config_reads++;
	w->uplink.up = false;
	w->ndp.rules.items = &w->rule;
	w->ndp.rules.n = 1;
	assert_int_equal(
		problems_add(&w->problems, PROBLEM_FORWARD_DROP, PROBLEM_ERROR, "cure", "caf\xe9"),
		0);
	after = picture(w);
	assert_int_equal(api_events(before, after, TIME_US, &lines), 0);
	assert_non_null(strstr(lines, "no connection to Docker 20.10.24 at unix:///s (was: "
				      "connected true)"));
	assert_non_null(strstr(lines, "\"kind\":\"config\",\"change\":\"changed\""));
	assert_non_null(strstr(lines, "uplink eth0 is down"));
	assert_non_null(strstr(lines, "\"name\":\"2001:db8::/80\",\"interface\":\"eth0\","
				      "\"container\":null"));
	assert_non_null(strstr(lines, "\"change\":\"added\",\"name\":\"forward-drop\","
				      "\"code\":\"forward-drop\",\"severity\":\"error\","
				      "\"message\":\"error: caf?\",\"cure\":\"cure\""));
	lines = (free(lines), NULL);
	assert_int_equal(api_events(after, before, TIME_US, &lines), 0);
	assert_non_null(strstr(lines, "\"message\":\"solved: caf?\""));
	api_picture_free(before);
	api_picture_free(after);
}

static void test_lines_without_change(void **state)
{
	_cleanup_(freep) char *hello = NULL, *lost = NULL;
	struct world *w = *state;

	assert_int_equal(api_events_hello(&w->status, TIME_US, &hello), 0);
	assert_string_equal(hello, TIME "\"kind\":\"hello\",\"name\":\"ipv6natd\","
					"\"message\":\"following changes of ipv6natd 0.1.0\","
					"\"version\":\"0.1.0\",\"state\":\"ok\"}\n");
	assert_int_equal(api_events_lost(7, TIME_US, &lost), 0);
	assert_non_null(strstr(lost, "\"kind\":\"lost\""));
	assert_non_null(strstr(lost, "\"lost\":7}\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_without_change, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
