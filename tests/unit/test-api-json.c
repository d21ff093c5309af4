/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "wire/api-json-read.h"
#include "wire/api-json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	return a;
}

static struct inet_prefix prefix(const char *text)
{
	struct inet_prefix p;

	assert_int_equal(inet_prefix_parse(text, &p), 0);
	return p;
}

/* The smallest world that has one of each. */
struct world {
	struct engine engine;
	struct status_uplink uplink;
	struct status_uplinks uplinks;
	struct inet_prefix on_link;
	struct in6_addr uplink_address;
	struct status_network network;
	struct status_networks networks;
	struct inet_prefix subnet;
	struct status_container container;
	struct status_port port;
	struct status_ndp ndp;
	struct status_ndps ndps;
	struct inet_prefix rule;
	struct problems problems, more;
	struct status status;
};

static void make_world(struct world *w)
{
	*w = (struct world){
		.engine = { .host = (char *)(uintptr_t) "unix:///var/run/docker.sock",
			    .version = (char *)(uintptr_t) "20.10.24",
			    .api = (char *)(uintptr_t) "1.41",
			    .connected = true,
			    .events = 12,
			    .last_sync_us = 1767225600123456 },
		.uplink = { .interface = "eth0",
			    .up = true,
			    .mac = { 2, 0, 0, 0, 0, 0xab },
			    .has_mac = true },
		.network = { .id = (char *)(uintptr_t) "0123",
			     .name = (char *)(uintptr_t) "ula",
			     .bridge = "br-0123",
			     .mode = NET_MODE_NAT,
			     .reason = (char *)(uintptr_t) "ULA",
			     .uplink = "eth0" },
		.container = { .id = (char *)(uintptr_t) "abcd",
			       .name = (char *)(uintptr_t) "web",
			       .address = address("fd00:6::2"),
			       .answered = "eth0" },
		.port = { .protocol = IPPROTO_TCP,
			  .host_port = 8080,
			  .container_port = 80,
			  .connections = 5 },
		.ndp = { .interface = "eth0",
			 .targets = 3,
			 .counters = { .solicitations = 10,
				       .advertisements = 9,
				       .unicast = 4,
				       .dad = 1,
				       .announcements = 6,
				       .lost = 2,
				       .dropped = { [NDP_DROP_CHECKSUM] = 1 } } },
		.rule = prefix("2001:db8:1:0:d0::/80"),
		.on_link = prefix("2001:db8:1::/64"),
		.uplink_address = address("2001:db8:1::16"),
		.subnet = prefix("fd00:6::/64"),
	};
	w->uplink.prefixes.items = &w->on_link;
	w->uplink.addresses.items = &w->uplink_address;
	w->uplink.prefixes.n = w->uplink.addresses.n = 1;
	w->uplinks = (struct status_uplinks){ .items = &w->uplink, .n = 1 };
	w->container.ports.items = &w->port;
	w->network.subnets.items = &w->subnet;
	w->network.containers.items = &w->container;
	w->container.ports.n = w->network.subnets.n = w->network.containers.n = 1;
	w->networks = (struct status_networks){ .items = &w->network, .n = 1 };
	w->ndp.rules.items = &w->rule;
	w->ndp.rules.n = 1;
	w->ndps = (struct status_ndps){ .items = &w->ndp, .n = 1 };
	assert_int_equal(
		problems_add(&w->more, PROBLEM_FORWARD_DROP, PROBLEM_ERROR, "cure", "message"), 0);
	w->status = (struct status){
		.version = "0.1.0",
		.state = "ok",
		.uptime_s = 12.3,
		.engine = &w->engine,
		.backend = "nftables",
		.commits = 3,
		.elements = 12,
		.uplinks = &w->uplinks,
		.networks = &w->networks,
		.ndp = &w->ndps,
		.problems = { &w->problems, NULL, &w->more, NULL },
	};
}

/* The document is DESIGN section 6 to the letter, with "state" of a port, "answered" of a
 * container and the last five of ndp added. */
static void test_document(void **state)
{
	static const char expected[] =
		"{\"version\":\"0.1.0\",\"state\":\"ok\",\"uptime_s\":12.3,"
		"\"docker\":{\"host\":\"unix:///var/run/docker.sock\",\"connected\":true,"
		"\"version\":\"20.10.24\",\"api\":\"1.41\",\"events\":12,"
		"\"last_sync\":\"2026-01-01T00:00:00Z\"},"
		"\"backend\":{\"name\":\"nftables\",\"commits\":3,\"repairs\":0,\"elements\":12},"
		"\"uplinks\":[{\"interface\":\"eth0\",\"up\":true,\"mac\":\"02:00:00:00:00:ab\","
		"\"prefixes\":[\"2001:db8:1::/64\"],\"addresses\":[\"2001:db8:1::16\"]}],"
		"\"networks\":[{\"id\":\"0123\",\"name\":\"ula\",\"bridge\":\"br-0123\","
		"\"subnets\":[\"fd00:6::/64\"],\"mode\":\"nat\",\"reason\":\"ULA\","
		"\"uplink\":\"eth0\",\"snat\":null,\"prefix\":null,"
		"\"containers\":[{\"id\":\"abcd\",\"name\":\"web\",\"address\":\"fd00:6::2\","
		"\"public\":null,\"answered\":\"eth0\",\"ports\":[{\"protocol\":\"tcp\",\"host_address\":\"::\","
		"\"host_port\":8080,\"container_port\":80,\"connections\":5,"
		"\"state\":\"active\"}]}]}],"
		"\"ndp\":[{\"interface\":\"eth0\",\"targets\":3,\"solicitations\":10,"
		"\"advertisements\":9,\"dropped\":{\"checksum\":1},\"announcements\":6,"
		"\"lost\":2,\"unicast\":4,\"dad\":1,\"rules\":[\"2001:db8:1:0:d0::/80\"]}],"
		"\"problems\":[{\"code\":\"forward-drop\",\"severity\":\"error\","
		"\"message\":\"message\",\"cure\":\"cure\"}]}";
	_cleanup_(freep) char *text = NULL;
	struct world w;

	(void)state;
	make_world(&w);
	assert_int_equal(api_json_status(&w.status, &text), 0);
	assert_string_equal(text, expected);
	problems_done(&w.more);
}

/* What is not known is null; strings that are no UTF-8 do not lose the document. */
static void test_unknown(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct world w;

	(void)state;
	make_world(&w);
	w.engine.version = w.engine.api = NULL;
	w.engine.connected = false;
	w.engine.last_sync_us = 0;
	w.uplink.has_mac = false;
	w.network.uplink[0] = '\0';
	w.network.snat = address("2001:db8::5");
	w.network.name = (char *)(uintptr_t) "caf\xe9\n\"";
	w.container.address = address("::");
	w.container.answered[0] = '\0';
	w.status.ndp = NULL;
	w.port.connections = UINT64_MAX;
	assert_int_equal(api_json_status(&w.status, &text), 0);
	assert_non_null(strstr(text, "\"version\":null,\"api\":null"));
	assert_non_null(strstr(text, "\"last_sync\":null"));
	assert_non_null(strstr(text, "\"mac\":null"));
	assert_non_null(strstr(text, "\"uplink\":null,\"snat\":\"2001:db8::5\""));
	assert_non_null(strstr(text, "\"name\":\"caf?\\n\\\"\""));
	assert_non_null(strstr(text, "\"address\":null"));
	assert_non_null(strstr(text, "\"answered\":null"));
	assert_non_null(strstr(text, "\"ndp\":[]"));
	assert_non_null(strstr(text, "\"connections\":9223372036854775807"));
	problems_done(&w.more);
}

/* What is written is understood. */
static void test_round_trip(void **state)
{
	_cleanup_(freep) char *text = NULL;
	char error[API_ERROR_TEXT];
	struct api_status s;
	struct world w;

	(void)state;
	make_world(&w);
	assert_int_equal(api_json_status(&w.status, &text), 0);
	assert_int_equal(api_json_status_read(text, strlen(text), &s, error), 0);
	assert_string_equal(s.version, "0.1.0");
	assert_true(s.docker.connected);
	assert_string_equal(s.docker.last_sync, "2026-01-01T00:00:00Z");
	assert_int_equal(s.backend.elements, 12);
	assert_int_equal(s.uplinks.n, 1);
	assert_string_equal(s.uplinks.items[0].mac, "02:00:00:00:00:ab");
	assert_string_equal(s.uplinks.items[0].addresses.items[0].text, "2001:db8:1::16");
	assert_int_equal(s.networks.n, 1);
	assert_null(s.networks.items[0].snat);
	assert_string_equal(s.networks.items[0].subnets.items[0].text, "fd00:6::/64");
	assert_string_equal(s.networks.items[0].containers.items[0].name, "web");
	assert_int_equal(s.networks.items[0].containers.items[0].ports.items[0].host_port, 8080);
	assert_string_equal(s.networks.items[0].containers.items[0].ports.items[0].state, "active");
	assert_string_equal(s.networks.items[0].containers.items[0].answered, "eth0");
	assert_int_equal(s.ndps.n, 1);
	assert_string_equal(s.ndps.items[0].interface, "eth0");
	assert_int_equal(s.ndps.items[0].targets, 3);
	assert_int_equal(s.ndps.items[0].solicitations, 10);
	assert_int_equal(s.ndps.items[0].advertisements, 9);
	assert_int_equal(s.ndps.items[0].announcements, 6);
	assert_int_equal(s.ndps.items[0].lost, 2);
	assert_int_equal(s.ndps.items[0].unicast, 4);
	assert_int_equal(s.ndps.items[0].dad, 1);
	assert_int_equal(s.ndps.items[0].drops.n, 1);
	assert_string_equal(s.ndps.items[0].drops.items[0].reason, "checksum");
	assert_int_equal(s.ndps.items[0].drops.items[0].count, 1);
	assert_int_equal(s.ndps.items[0].rules.n, 1);
	assert_string_equal(s.ndps.items[0].rules.items[0].text, "2001:db8:1:0:d0::/80");
	assert_int_equal(s.problems.n, 1);
	assert_string_equal(s.problems.items[0].code, "forward-drop");
	api_status_done(&s);
	problems_done(&w.more);
}

/* A document with one part replaced. */
static void read_with(const char *part, const char *replacement, int expected)
{
	_cleanup_(freep) char *text = NULL, *changed = NULL;
	char error[API_ERROR_TEXT];
	struct api_status s;
	struct world w;
	char *p;

	make_world(&w);
	assert_int_equal(api_json_status(&w.status, &text), 0);
	problems_done(&w.more);
	p = strstr(text, part);
	assert_non_null(p);
	assert_true(asprintf(&changed, "%.*s%s%s", (int)(p - text), text, replacement,
			     p + strlen(part)) > 0);
	assert_int_equal(api_json_status_read(changed, strlen(changed), &s, error), expected);
	if (expected == 0)
		api_status_done(&s);
	else
		assert_true(error[0] != '\0');
}

/* Unknown keys and values of newer daemons are no mistake; wrong types and missing keys are. */
static void test_strictness(void **state)
{
	(void)state;
	read_with("\"ndp\":", "\"new\":[1,2],\"ndp\":", 0);
	read_with("\"ndp\":[", "\"ndp\":[7,", -EBADMSG);
	read_with("\"targets\":3,", "", -EBADMSG);
	read_with("\"targets\":3", "\"targets\":-3", -EBADMSG);
	read_with("{\"checksum\":1}", "{\"checksum\":1,\"new\":2}", 0);
	read_with("{\"checksum\":1}", "{\"checksum\":-1}", -EBADMSG);
	read_with("{\"checksum\":1}", "{\"checksum\":\"1\"}", -EBADMSG);
	read_with("{\"checksum\":1}", "[]", -EBADMSG);
	read_with("\"lost\":2,\"unicast\":4,\"dad\":1,\"rules\":[\"2001:db8:1:0:d0::/80\"]",
		  "\"x\":1", 0);
	read_with("\"lost\":2", "\"lost\":\"2\"", -EBADMSG);
	read_with("[\"2001:db8:1:0:d0::/80\"]", "7", -EBADMSG);
	read_with("\"answered\":\"eth0\",", "", 0);
	read_with("\"answered\":\"eth0\"", "\"answered\":7", -EBADMSG);
	read_with("\"protocol\":", "\"new\":true,\"protocol\":", 0);
	read_with("\"mode\":\"nat\"", "\"mode\":\"teleport\"", 0);
	read_with(",\"state\":\"active\"", "", 0);
	read_with("\"uptime_s\":12.3", "\"uptime_s\":12", 0);
	read_with("\"uptime_s\":12.3", "\"uptime_s\":\"x\"", -EBADMSG);
	read_with("\"host_port\":8080", "\"host_port\":65536", -EBADMSG);
	read_with("\"host_port\":8080", "\"host_port\":-1", -EBADMSG);
	read_with("\"host_port\":8080", "\"host_port\":80.5", -EBADMSG);
	read_with("\"connections\":5", "\"connections\":-5", -EBADMSG);
	read_with("\"connections\":5,", "", -EBADMSG);
	read_with("\"snat\":null", "\"snat\":7", -EBADMSG);
	read_with("\"snat\":null,", "", -EBADMSG);
	read_with("\"connected\":true", "\"connected\":1", -EBADMSG);
	read_with("[\"fd00:6::/64\"]", "[7]", -EBADMSG);
	read_with("\"networks\":[", "\"networks\":[null,", -EBADMSG);
	read_with("\"problems\":[{", "\"problems\":[{\"code\":\"twice\",", -EBADMSG);
	read_with("\"name\":\"web\"", "\"name\":\"w\\u0000b\"", -EBADMSG);
	read_with("{\"version\"", "[", -EBADMSG);
}

static void test_error(void **state)
{
	_cleanup_(freep) char *text = NULL, *message = NULL, *cure = NULL;

	(void)state;
	assert_int_equal(api_json_error("no \"x\"", "do y", &text), 0);
	assert_string_equal(text, "{\"error\":\"no \\\"x\\\"\",\"cure\":\"do y\"}");
	assert_int_equal(api_json_error_read(text, strlen(text), &message, &cure), 0);
	assert_string_equal(message, "no \"x\"");
	assert_string_equal(cure, "do y");
	assert_int_equal(api_json_error_read("<html>", 6, &message, &cure), -EBADMSG);
	assert_int_equal(api_json_error_read("{}", 2, &message, &cure), -EBADMSG);
}

static int read_event(const char *text, struct api_event *ret)
{
	char error[API_ERROR_TEXT];
	int r = api_json_event_read(text, strlen(text), ret, error);

	assert_true(r == 0 || error[0] != '\0');
	return r;
}

/* A line of events: what all have, what some have, and keys and kinds of a newer daemon. */
static void test_event(void **state)
{
	struct api_event e;

	(void)state;
	assert_int_equal(read_event("{\"time\":\"t\",\"kind\":\"problem\",\"change\":\"added\","
				    "\"message\":\"m\",\"severity\":\"error\"}",
				    &e),
			 0);
	assert_string_equal(e.time, "t");
	assert_string_equal(e.kind, "problem");
	assert_string_equal(e.change, "added");
	assert_string_equal(e.message, "m");
	assert_string_equal(e.severity, "error");
	api_event_done(&e);
	assert_int_equal(read_event("{\"time\":\"t\",\"kind\":\"new\",\"message\":\"\",\"new\":[],"
				    "\"severity\":null}",
				    &e),
			 0);
	assert_string_equal(e.change, "");
	assert_string_equal(e.severity, "");
	api_event_done(&e);
	assert_int_equal(read_event("{\"time\":\"t\",\"kind\":\"x\"}", &e), -EBADMSG);
	assert_int_equal(read_event("{\"time\":1,\"kind\":\"x\",\"message\":\"\"}", &e), -EBADMSG);
	assert_int_equal(read_event("[]", &e), -EBADMSG);
	assert_int_equal(read_event("{", &e), -EBADMSG);
}

/* Small documents are quoted as JSON is, and what is not known is null. */
static void test_pairs(void **state)
{
	const struct api_pair pairs[] = { { "a", "x\"\n\\" }, { "b", NULL } };
	_cleanup_(freep) char *text = NULL;

	(void)state;
	assert_int_equal(api_json_pairs(pairs, N_ELEMENTS(pairs), &text), 0);
	assert_string_equal(text, "{\"a\":\"x\\\"\\n\\\\\",\"b\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),   cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_strictness),
		cmocka_unit_test(test_error),      cmocka_unit_test(test_event),
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
