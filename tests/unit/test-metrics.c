/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "wire/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(s) ((char *)(uintptr_t)(s))

struct world {
	struct engine engine;
	struct status_uplink uplink;
	struct status_uplinks uplinks;
	struct status_network networks[2];
	struct status_networks all;
	struct status_container containers[2];
	struct status_port ports[3];
	struct status_ndp ndp;
	struct status_ndps ndps;
	struct problems problems;
	struct status_latency latency;
	struct status status;
};

/* The container web is in both networks, and published in the first. */
static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->engine = (struct engine){ .version = TEXT("20.10.24"),
				     .api = TEXT("1.41"),
				     .connected = true,
				     .container_events = 7,
				     .network_events = 5,
				     .errors = 2,
				     .last_sync_us = 1767225600123456 };
	w->uplink = (struct status_uplink){ .interface = "eth0", .up = true };
	w->uplinks = (struct status_uplinks){ .items = &w->uplink, .n = 1 };
	w->ports[0] = (struct status_port){
		.protocol = IPPROTO_TCP, .host_port = 8080, .container_port = 80, .connections = 5
	};
	w->ports[1] = (struct status_port){ .protocol = IPPROTO_UDP,
					    .host_port = 53,
					    .state = PORT_ASSUMED };
	w->ports[2] = (struct status_port){ .protocol = IPPROTO_TCP,
					    .host_port = 22,
					    .state = PORT_PROXIED };
	for (int i = 0; i < 2; i++) {
		w->containers[i].id = TEXT("c1");
		w->containers[i].name = TEXT("web");
		w->networks[i].containers.items = &w->containers[i];
		w->networks[i].containers.n = 1;
		w->networks[i].mode = i ? NET_MODE_PROXY : NET_MODE_NAT;
		w->networks[i].name = i ? TEXT("lan") : TEXT("ula");
	}
	w->containers[0].ports.items = w->ports;
	w->containers[0].ports.n = 3;
	w->all = (struct status_networks){ .items = w->networks, .n = 2 };
	w->ndp = (struct status_ndp){ .interface = "eth0",
				      .targets = 3,
				      .counters = { .solicitations = 10,
						    .advertisements = 9,
						    .announcements = 6,
						    .lost = 2,
						    .dropped = { [NDP_DROP_CHECKSUM] = 1 } } };
	w->ndps = (struct status_ndps){ .items = &w->ndp, .n = 1 };
	w->status = (struct status){
		.version = "0.1.0",
		.state = "degraded",
		.engine = &w->engine,
		.commits = 3,
		.repairs = 1,
		.commit_errors = 4,
		.elements = 12,
		.config_reads = 2,
		.config_errors = 1,
		.uplinks = &w->uplinks,
		.networks = &w->all,
		.ndp = &w->ndps,
		.latency = &w->latency,
		.problems = { NULL, &w->problems },
	};
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

static char *render(const struct world *w)
{
	char *text = NULL;

	assert_int_equal(metrics_text(&w->status, &text), 0);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	_cleanup_(freep) char *whole = NULL;

	assert_true(asprintf(&whole, "\n%s\n", line) > 0);
	if (!strstr(text, whole))
		fail_msg("no line \"%s\" in\n%s", line, text);
}

/* What the status says is what the metrics say. */
static void test_values(void **state)
{
	_cleanup_(freep) char *text = render(*state);

	assert_line(text, "# HELP ipv6nat_commits_total Transactions that changed our tables.");
	assert_line(text, "# TYPE ipv6nat_commits_total counter");
	assert_line(text, "ipv6nat_commits_total 3");
	assert_line(text, "ipv6nat_commit_errors_total 4");
	assert_line(text, "ipv6nat_repairs_total 1");
	assert_line(text, "ipv6nat_elements 12");
	assert_line(text, "ipv6nat_build_info{version=\"0.1.0\"} 1");
	assert_line(text, "ipv6nat_state{state=\"degraded\"} 1");
	assert_line(text, "ipv6nat_state{state=\"ok\"} 0");
	assert_line(text, "ipv6nat_docker_connected 1");
	assert_line(text, "ipv6nat_docker_info{version=\"20.10.24\",api=\"1.41\"} 1");
	assert_line(text, "ipv6nat_docker_events_total{type=\"container\"} 7");
	assert_line(text, "ipv6nat_docker_events_total{type=\"network\"} 5");
	assert_line(text, "ipv6nat_docker_errors_total 2");
	assert_line(text, "ipv6nat_last_sync_timestamp_seconds 1767225600.123");
	assert_line(text, "ipv6nat_config_reads_total 2");
	assert_line(text, "ipv6nat_config_errors_total 1");
	assert_line(text, "ipv6nat_uplink_up{interface=\"eth0\"} 1");
	assert_line(text, "ipv6nat_networks{mode=\"nat\"} 1");
	assert_line(text, "ipv6nat_networks{mode=\"proxy\"} 1");
	assert_line(text, "ipv6nat_networks{mode=\"off\"} 0");
	assert_line(text, "ipv6nat_containers 1");
	assert_line(text, "ipv6nat_ports{state=\"active\"} 1");
	assert_line(text, "ipv6nat_ports{state=\"proxied\"} 1");
	assert_line(text, "ipv6nat_port_connections_total{network=\"ula\",container=\"web\","
			  "protocol=\"tcp\",host_address=\"::\",host_port=\"8080\"} 5");
	assert_line(text, "ipv6nat_port_connections_total{network=\"ula\",container=\"web\","
			  "protocol=\"udp\",host_address=\"::\",host_port=\"53\"} 0");
	assert_null(strstr(text, "host_port=\"22\""));
	assert_line(text, "ipv6nat_ports_omitted 0");
	assert_line(text, "ipv6nat_ndp_targets{interface=\"eth0\"} 3");
	assert_line(text, "ipv6nat_ndp_solicitations_total{interface=\"eth0\"} 10");
	assert_line(text, "ipv6nat_ndp_advertisements_total{interface=\"eth0\"} 9");
	assert_line(text, "ipv6nat_ndp_announcements_total{interface=\"eth0\"} 6");
	assert_line(text, "ipv6nat_ndp_lost_total{interface=\"eth0\"} 2");
	assert_line(text, "ipv6nat_ndp_dropped_total{interface=\"eth0\",reason=\"checksum\"} 1");
	assert_line(text, "ipv6nat_ndp_dropped_total{interface=\"eth0\",reason=\"hop-limit\"} 0");
}

/* What is not known yet has no sample, or is zero; nothing is left out by mistake. */
static void test_beginning(void **state)
{
	static const struct status_networks no_networks;
	static const struct status_uplinks no_uplinks;
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;

	w->engine = (struct engine){};
	w->status.networks = &no_networks;
	w->status.uplinks = &no_uplinks;
	w->status.ndp = NULL;
	w->status.state = "starting";
	text = render(w);
	assert_line(text, "ipv6nat_docker_connected 0");
	assert_null(strstr(text, "ipv6nat_docker_info{"));
	assert_line(text, "ipv6nat_last_sync_timestamp_seconds 0.000");
	assert_line(text, "ipv6nat_state{state=\"starting\"} 1");
	assert_line(text, "ipv6nat_containers 0");
	assert_null(strstr(text, "process_"));
}

static void test_process(void **state)
{
	const struct status_process process = {
		.cpu_s = 1.5, .started_s = 1767225600.25, .resident_bytes = 4096, .open_fds = 20
	};
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;

	w->status.process = &process;
	text = render(w);
	assert_line(text, "process_cpu_seconds_total 1.500000");
	assert_line(text, "process_resident_memory_bytes 4096");
	assert_line(text, "process_open_fds 20");
	assert_line(text, "process_start_time_seconds 1767225600.25");
}

static void test_problems(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(problems_add(&w->problems, PROBLEM_PORT_CONFLICT, PROBLEM_WARNING,
					      "", "%d", i),
				 0);
	assert_int_equal(
		problems_add(&w->problems, PROBLEM_ACCEPT_RA, PROBLEM_ERROR, "", "message"), 0);
	text = render(w);
	assert_line(text, "ipv6nat_problems{code=\"port-conflict\",severity=\"warning\"} 2");
	assert_line(text, "ipv6nat_problems{code=\"accept-ra\",severity=\"error\"} 1");
}

/* Names come from others: none can end its label, its line or the document. */
static void test_escaping(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;

	w->networks[0].name = TEXT("a\\b\"} 7\nipv6nat_commits_total 99 \x01\x7f\xff{x");
	text = render(w);
	assert_line(
		text,
		"ipv6nat_port_connections_total{network=\"a\\\\b\\\"} 7\\nipv6nat_commits_total "
		"99 ???{x\",container=\"web\",protocol=\"tcp\",host_address=\"::\","
		"host_port=\"8080\"} 5");
}

/* However many ports there are, their series are bounded, and what is left out is said. */
static void test_many_ports(void **state)
{
	enum {
		N = METRICS_PORTS_MAX + 23
	};
	static struct status_port ports[N];
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		ports[i] = (struct status_port){ .protocol = IPPROTO_TCP,
						 .host_port = (uint16_t)(i + 1) };
	w->containers[0].ports.items = ports;
	w->containers[0].ports.n = N;
	text = render(w);
	assert_line(text, "ipv6nat_ports_omitted 23");
	for (const char *p = text; (p = strstr(p, "\nipv6nat_port_connections_total{")); p++)
		n++;
	assert_int_equal(n, METRICS_PORTS_MAX);
}

/* A duration counts in its bucket and all above; a bound belongs to its bucket. */
static void test_latency(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct world *w = *state;

	status_latency_add(&w->latency, 0);
	status_latency_add(&w->latency, 500);
	status_latency_add(&w->latency, 501);
	status_latency_add(&w->latency, 10000000);
	status_latency_add(&w->latency, 10000001);
	text = render(w);
	assert_line(text, "# TYPE ipv6nat_event_to_rule_seconds histogram");
	assert_line(text, "ipv6nat_event_to_rule_seconds_bucket{le=\"0.0005\"} 2");
	assert_line(text, "ipv6nat_event_to_rule_seconds_bucket{le=\"0.001\"} 3");
	assert_line(text, "ipv6nat_event_to_rule_seconds_bucket{le=\"5\"} 3");
	assert_line(text, "ipv6nat_event_to_rule_seconds_bucket{le=\"10\"} 4");
	assert_line(text, "ipv6nat_event_to_rule_seconds_bucket{le=\"+Inf\"} 5");
	assert_line(text, "ipv6nat_event_to_rule_seconds_sum 20.001002");
	assert_line(text, "ipv6nat_event_to_rule_seconds_count 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beginning, setup, teardown),
		cmocka_unit_test_setup_teardown(test_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_problems, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escaping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_latency, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
