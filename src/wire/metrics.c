/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/metrics.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/types.h>

enum metric {
	BUILD_INFO,
	STATE,
	DOCKER_CONNECTED,
	DOCKER_INFO,
	DOCKER_EVENTS,
	DOCKER_ERRORS,
	LAST_SYNC,
	EVENT_TO_RULE,
	COMMITS,
	COMMIT_ERRORS,
	REPAIRS,
	ELEMENTS,
	CONFIG_READS,
	CONFIG_ERRORS,
	UPLINK_UP,
	NETWORKS,
	CONTAINERS,
	PORTS,
	PORT_CONNECTIONS,
	PORTS_OMITTED,
	NDP_TARGETS,
	NDP_SOLICITATIONS,
	NDP_ADVERTISEMENTS,
	NDP_ANNOUNCEMENTS,
	NDP_DROPPED,
	NDP_LOST,
	PROBLEMS,
	PROCESS_CPU,
	PROCESS_RESIDENT,
	PROCESS_FDS,
	PROCESS_START,
	_METRIC_MAX,
};

/* All there are; ipv6natd(8) has each of them (tests/check/metrics.sh). */
static const struct {
	const char *name, *type, *help;
} metrics[] = {
	[BUILD_INFO] = { "ipv6nat_build_info", "gauge", "Always 1; the version is a label." },
	[STATE] = { "ipv6nat_state", "gauge", "1 for the state that the daemon is in." },
	[DOCKER_CONNECTED] = { "ipv6nat_docker_connected", "gauge",
			       "1 while the Docker engine answers." },
	[DOCKER_INFO] = { "ipv6nat_docker_info", "gauge", "Always 1; the engine as labels." },
	[DOCKER_EVENTS] = { "ipv6nat_docker_events_total", "counter",
			    "Events of the engine that were received." },
	[DOCKER_ERRORS] = { "ipv6nat_docker_errors_total", "counter",
			    "Connections to the engine, and answers of it, that failed." },
	[LAST_SYNC] = { "ipv6nat_last_sync_timestamp_seconds", "gauge",
			"When everything was last read from the engine; 0: never." },
	[EVENT_TO_RULE] = { "ipv6nat_event_to_rule_seconds", "histogram",
			    "From the arrival of an event until the kernel has the rules." },
	[COMMITS] = { "ipv6nat_commits_total", "counter", "Transactions that changed our tables." },
	[COMMIT_ERRORS] = { "ipv6nat_commit_errors_total", "counter",
			    "Transactions that the kernel did not take." },
	[REPAIRS] = { "ipv6nat_repairs_total", "counter",
		      "Changes of our tables by others that were repaired." },
	[ELEMENTS] = { "ipv6nat_elements", "gauge",
		       "Elements in the sets and maps of our tables." },
	[CONFIG_READS] = { "ipv6nat_config_reads_total", "counter",
			   "How often a configuration came into force." },
	[CONFIG_ERRORS] = { "ipv6nat_config_errors_total", "counter",
			    "How often a configuration was refused." },
	[UPLINK_UP] = { "ipv6nat_uplink_up", "gauge", "1 for an uplink that is up." },
	[NETWORKS] = { "ipv6nat_networks", "gauge", "Networks with IPv6, by mode." },
	[CONTAINERS] = { "ipv6nat_containers", "gauge", "Containers in these networks." },
	[PORTS] = { "ipv6nat_ports", "gauge", "Published ports, by state." },
	[PORT_CONNECTIONS] = { "ipv6nat_port_connections_total", "counter",
			       "Connections to a published port since its mapping was made." },
	[PORTS_OMITTED] = { "ipv6nat_ports_omitted", "gauge",
			    "Published ports whose connections are not shown, being too many." },
	[NDP_TARGETS] = { "ipv6nat_ndp_targets", "gauge",
			  "Addresses of containers that are answered." },
	[NDP_SOLICITATIONS] = { "ipv6nat_ndp_solicitations_total", "counter",
				"Neighbour solicitations received." },
	[NDP_ADVERTISEMENTS] = { "ipv6nat_ndp_advertisements_total", "counter",
				 "Neighbour solicitations answered." },
	[NDP_ANNOUNCEMENTS] = { "ipv6nat_ndp_announcements_total", "counter",
				"Neighbour advertisements sent unasked." },
	[NDP_DROPPED] = { "ipv6nat_ndp_dropped_total", "counter",
			  "Neighbour solicitations not answered, by reason." },
	[NDP_LOST] = { "ipv6nat_ndp_lost_total", "counter",
		       "Neighbour solicitations that came faster than they could be read." },
	[PROBLEMS] = { "ipv6nat_problems", "gauge", "Problems that there are now." },
	[PROCESS_CPU] = { "process_cpu_seconds_total", "counter", "CPU time spent." },
	[PROCESS_RESIDENT] = { "process_resident_memory_bytes", "gauge", "Memory in use." },
	[PROCESS_FDS] = { "process_open_fds", "gauge", "Open file descriptors." },
	[PROCESS_START] = { "process_start_time_seconds", "gauge",
			    "When the daemon was started, since 1970." },
};
static_assert(N_ELEMENTS(metrics) == _METRIC_MAX, "a metric has no line in the table");

/* --------------------------------------------------------------- writing */

/* Begins a metric; its samples have to follow at once. */
static void begin(FILE *f, enum metric m)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", metrics[m].name, metrics[m].help,
		metrics[m].name, metrics[m].type);
}

/* One byte that is not UTF-8 would cost the whole scrape; Docker's names are ASCII. */
static void write_value(FILE *f, const char *s)
{
	for (; *s != '\0'; s++)
		if (*s == '\\' || *s == '"')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else
			fputc(*s < ' ' || *s > '~' ? '?' : *s, f);
}

#define LABELS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A sample's name and labels: pairs of name and value, ended by NULL. */
static void name(FILE *f, enum metric m, const char *const *labels)
{
	fprintf(f, "%s{", metrics[m].name);
	for (size_t i = 0; labels[i]; i += 2) {
		fprintf(f, "%s%s=\"", i > 0 ? "," : "", labels[i]);
		write_value(f, labels[i + 1]);
		fputc('"', f);
	}
	fputs("} ", f);
}

static void count(FILE *f, enum metric m, uint64_t value)
{
	begin(f, m);
	fprintf(f, "%s %" PRIu64 "\n", metrics[m].name, value);
}

/* ---------------------------------------------------------------- groups */

static void write_daemon(FILE *f, const struct status *s)
{
	static const char *const states[] = { "ok", "degraded", "starting" };

	begin(f, BUILD_INFO);
	name(f, BUILD_INFO, LABELS("version", s->version));
	fputs("1\n", f);
	begin(f, STATE);
	for (size_t i = 0; i < N_ELEMENTS(states); i++) {
		name(f, STATE, LABELS("state", states[i]));
		fprintf(f, "%d\n", strcmp(s->state, states[i]) == 0);
	}
	count(f, CONFIG_READS, s->config_reads);
	count(f, CONFIG_ERRORS, s->config_errors);
}

static void write_docker(FILE *f, const struct engine *e)
{
	count(f, DOCKER_CONNECTED, e->connected);
	if (e->version) {
		begin(f, DOCKER_INFO);
		name(f, DOCKER_INFO, LABELS("version", e->version, "api", e->api ? e->api : ""));
		fputs("1\n", f);
	}
	begin(f, DOCKER_EVENTS);
	name(f, DOCKER_EVENTS, LABELS("type", "container"));
	fprintf(f, "%" PRIu64 "\n", e->container_events);
	name(f, DOCKER_EVENTS, LABELS("type", "network"));
	fprintf(f, "%" PRIu64 "\n", e->network_events);
	count(f, DOCKER_ERRORS, e->errors);
	begin(f, LAST_SYNC);
	fprintf(f, "%s %.3f\n", metrics[LAST_SYNC].name, (double)e->last_sync_us / 1e6);
}

static void write_latency(FILE *f, const struct status_latency *l)
{
	const char *n = metrics[EVENT_TO_RULE].name;
	uint64_t total = 0;

	if (!l)
		return;
	begin(f, EVENT_TO_RULE);
	for (size_t i = 0; i < STATUS_LATENCY_BOUNDS; i++) {
		total += l->counts[i];
		fprintf(f, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", n, status_latency_bounds_s[i],
			total);
	}
	total += l->counts[STATUS_LATENCY_BOUNDS];
	fprintf(f, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", n, total);
	fprintf(f, "%s_sum %.6f\n%s_count %" PRIu64 "\n", n, l->sum_s, n, total);
}

static void write_ruleset(FILE *f, const struct status *s)
{
	count(f, COMMITS, s->commits);
	count(f, COMMIT_ERRORS, s->commit_errors);
	count(f, REPAIRS, s->repairs);
	count(f, ELEMENTS, s->elements);
}

static void write_uplinks(FILE *f, const struct status_uplinks *uplinks)
{
	begin(f, UPLINK_UP);
	vec_foreach (u, uplinks) {
		name(f, UPLINK_UP, LABELS("interface", u->interface));
		fprintf(f, "%d\n", u->up);
	}
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One that is in several networks counts once. < 0: -ENOMEM. */
static ssize_t count_containers(const struct status_networks *networks)
{
	struct {
		VEC_FIELDS(const char *);
	} ids = {};
	ssize_t n = 0;

	vec_foreach (network, networks)
		vec_foreach (c, &network->containers) {
			const char **id = vec_add(&ids);

			if (!id) {
				vec_done(&ids);
				return -ENOMEM;
			}
			*id = c->id;
		}
	vec_sort(&ids, compare_texts);
	for (size_t i = 0; i < ids.n; i++)
		n += i == 0 || strcmp(ids.items[i - 1], ids.items[i]) != 0;
	vec_done(&ids);
	return n;
}

static int write_networks(FILE *f, const struct status_networks *networks)
{
	uint64_t by_mode[_NET_MODE_MAX] = {}, by_state[_PORT_STATE_MAX] = {};
	ssize_t containers = count_containers(networks);

	if (containers < 0)
		return (int)containers;
	vec_foreach (n, networks) {
		by_mode[n->mode]++;
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports)
				by_state[p->state]++;
	}
	begin(f, NETWORKS);
	for (unsigned i = NET_MODE_AUTO + 1; i < _NET_MODE_MAX; i++) {
		name(f, NETWORKS, LABELS("mode", net_mode_to_string(i)));
		fprintf(f, "%" PRIu64 "\n", by_mode[i]);
	}
	count(f, CONTAINERS, (uint64_t)containers);
	begin(f, PORTS);
	for (unsigned i = 0; i < _PORT_STATE_MAX; i++) {
		name(f, PORTS, LABELS("state", port_state_to_string(i)));
		fprintf(f, "%" PRIu64 "\n", by_state[i]);
	}
	return 0;
}

static void write_port(FILE *f, const struct status_network *n, const struct status_container *c,
		       const struct status_port *p)
{
	const char *protocol = inet_protocol_name(p->protocol);
	char address[INET_ADDR_TEXT], port[8];

	snprintf(port, sizeof(port), "%u", p->host_port);
	name(f, PORT_CONNECTIONS,
	     LABELS("network", n->name, "container", c->name, "protocol",
		    protocol ? protocol : "unknown", "host_address",
		    inet_format(&p->host_address, address), "host_port", port));
	fprintf(f, "%" PRIu64 "\n", p->connections);
}

static void write_ports(FILE *f, const struct status_networks *networks)
{
	uint64_t n_ports = 0;

	begin(f, PORT_CONNECTIONS);
	vec_foreach (n, networks)
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports)
				/* only once each: so no two samples have the same labels */
				if (status_port_translated(p) && n_ports++ < METRICS_PORTS_MAX)
					write_port(f, n, c, p);
	count(f, PORTS_OMITTED, n_ports > METRICS_PORTS_MAX ? n_ports - METRICS_PORTS_MAX : 0);
}

static void write_ndp_count(FILE *f, enum metric m, const struct status_ndps *ndps,
			    uint64_t (*get)(const struct status_ndp *n))
{
	begin(f, m);
	vec_foreach (n, ndps) {
		name(f, m, LABELS("interface", n->interface));
		fprintf(f, "%" PRIu64 "\n", get(n));
	}
}

static uint64_t targets(const struct status_ndp *n)
{
	return n->targets;
}

static uint64_t solicitations(const struct status_ndp *n)
{
	return n->counters.solicitations;
}

static uint64_t advertisements(const struct status_ndp *n)
{
	return n->counters.advertisements;
}

static uint64_t announcements(const struct status_ndp *n)
{
	return n->counters.announcements;
}

static uint64_t lost(const struct status_ndp *n)
{
	return n->counters.lost;
}

static void write_ndp(FILE *f, const struct status_ndps *ndps)
{
	static const struct status_ndps none;

	if (!ndps)
		ndps = &none;
	write_ndp_count(f, NDP_TARGETS, ndps, targets);
	write_ndp_count(f, NDP_SOLICITATIONS, ndps, solicitations);
	write_ndp_count(f, NDP_ADVERTISEMENTS, ndps, advertisements);
	write_ndp_count(f, NDP_ANNOUNCEMENTS, ndps, announcements);
	begin(f, NDP_DROPPED);
	vec_foreach (n, ndps)
		for (unsigned i = NDP_DROP_NONE + 1; i < _NDP_DROP_MAX; i++) {
			name(f, NDP_DROPPED,
			     LABELS("interface", n->interface, "reason", ndp_drop_to_string(i)));
			fprintf(f, "%" PRIu64 "\n", n->counters.dropped[i]);
		}
	write_ndp_count(f, NDP_LOST, ndps, lost);
}

static void write_problems(FILE *f, const struct status *s)
{
	uint64_t n[_PROBLEM_CODE_MAX][_PROBLEM_SEVERITY_MAX] = {};

	for (size_t i = 0; i < N_ELEMENTS(s->problems); i++)
		if (s->problems[i])
			vec_foreach (p, s->problems[i])
				n[p->code][p->severity]++;
	begin(f, PROBLEMS);
	for (unsigned code = 0; code < _PROBLEM_CODE_MAX; code++)
		for (unsigned severity = 0; severity < _PROBLEM_SEVERITY_MAX; severity++)
			if (n[code][severity] > 0) {
				name(f, PROBLEMS,
				     LABELS("code", problem_code_to_string(code), "severity",
					    problem_severity_to_string(severity)));
				fprintf(f, "%" PRIu64 "\n", n[code][severity]);
			}
}

static void write_process(FILE *f, const struct status_process *p)
{
	if (!p)
		return;
	begin(f, PROCESS_CPU);
	fprintf(f, "%s %.6f\n", metrics[PROCESS_CPU].name, p->cpu_s);
	count(f, PROCESS_RESIDENT, p->resident_bytes);
	count(f, PROCESS_FDS, p->open_fds);
	begin(f, PROCESS_START);
	fprintf(f, "%s %.2f\n", metrics[PROCESS_START].name, p->started_s);
}

int metrics_text(const struct status *s, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int r;

	if (!f)
		return -ENOMEM;
	write_daemon(f, s);
	write_docker(f, s->engine);
	write_latency(f, s->latency);
	write_ruleset(f, s);
	write_uplinks(f, s->uplinks);
	r = write_networks(f, s->networks);
	write_ports(f, s->networks);
	write_ndp(f, s->ndp);
	write_problems(f, s);
	write_process(f, s->process);
	if (ferror(f) && r == 0)
		r = -ENOMEM;
	if (fclose(f) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	*ret = steal_ptr(&text);
	return 0;
}
