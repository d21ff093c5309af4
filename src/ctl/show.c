/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

/* More ports of one container than this are counted in "status"; "ports" lists all. */
#define MAX_PORTS_SHOWN 4
#define PROBLEM_INDENT 9
#define MIN_WRAP_WIDTH 40

#define RED "\x1b[1;31m"
#define YELLOW "\x1b[1;33m"
#define GREEN "\x1b[1;32m"
#define NORMAL "\x1b[0m"

static void print_colored(const struct ctl_options *o, const char *color, const char *text)
{
	_cleanup_(freep) char *safe = ctl_escape(text, "");

	if (o->color && color)
		printf("%s%s" NORMAL, color, safe ? safe : "");
	else
		printf("%s", safe ? safe : "");
}

static const char *state_color(const char *state)
{
	return strcmp(state, "ok") == 0 ? GREEN : strcmp(state, "starting") == 0 ? YELLOW : RED;
}

static const char *severity_color(const char *severity)
{
	return strcmp(severity, "error") == 0    ? RED
	       : strcmp(severity, "notice") == 0 ? NULL
						 : YELLOW;
}

/* Columns of the terminal; 0: output is none, so nothing is broken into lines. */
static size_t screen_width(void)
{
	struct winsize w;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

/* Breaks at spaces; the cursor stands at the indent already. */
static void print_wrapped(const char *prefix, const char *text, size_t indent, size_t width)
{
	_cleanup_(freep) char *safe = NULL, *whole = NULL;
	size_t column = indent;
	char *state = NULL;
	bool first = true;

	if (asprintf(&whole, "%s%s", prefix, text) < 0) {
		whole = NULL;
		return;
	}
	safe = ctl_escape(whole, "\n");
	if (!safe)
		return;
	for (char *w = strtok_r(safe, " \n", &state); w; w = strtok_r(NULL, " \n", &state)) {
		size_t n = strlen(w);

		if (!first && width >= MIN_WRAP_WIDTH && column + 1 + n > width) {
			printf("\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		printf("%s%s", first ? "" : " ", w);
		column += n + !first;
		first = false;
	}
	putchar('\n');
}

static void print_problems(const struct ctl_options *o, const struct api_status *s)
{
	/* What is worst first; a severity that we do not know counts as a warning. */
	static const char *const order[] = { "error", "", "notice" };
	size_t width = screen_width();

	for (size_t i = 0; i < N_ELEMENTS(order); i++) {
		vec_foreach (p, &s->problems) {
			bool known = strcmp(p->severity, "error") == 0 ||
				     strcmp(p->severity, "notice") == 0;
			char prefix[80];

			if (known ? strcmp(p->severity, order[i]) != 0 : order[i][0] != '\0')
				continue;
			print_colored(o, severity_color(p->severity), p->severity);
			printf("%*s", MAX_OF(1, PROBLEM_INDENT - (int)strlen(p->severity)), "");
			snprintf(prefix, sizeof(prefix), "%s: ", p->code);
			print_wrapped(prefix, p->message, PROBLEM_INDENT, width);
			if (p->cure[0] == '\0')
				continue;
			printf("%*s", PROBLEM_INDENT, "");
			print_wrapped("cure: ", p->cure, PROBLEM_INDENT, width);
		}
	}
}

static void format_duration(double seconds, char *buffer, size_t size)
{
	uint64_t n = seconds > 0 && seconds < 1e12 ? (uint64_t)seconds : 0;

	if (n < 120)
		snprintf(buffer, size, "%" PRIu64 " s", n);
	else if (n < 7200)
		snprintf(buffer, size, "%" PRIu64 " min", n / 60);
	else if (n < 172800)
		snprintf(buffer, size, "%" PRIu64 " h", n / 3600);
	else
		snprintf(buffer, size, "%" PRIu64 " days", n / 86400);
}

static void print_uplinks(const struct ctl_options *o, const struct api_status *s)
{
	printf("Uplinks: ");
	vec_foreach (u, &s->uplinks) {
		if (u != s->uplinks.items)
			printf(", ");
		print_colored(o, NULL, u->interface);
		if (!u->up)
			print_colored(o, YELLOW, " down");
		vec_foreach (p, &u->prefixes) {
			printf(" ");
			print_colored(o, NULL, p->text);
		}
	}
	printf("%s\n", s->uplinks.n > 0 ? "" : "none");
}

void show_summary(const struct ctl_options *o, const struct api_status *s)
{
	char up[32];

	format_duration(s->uptime_s, up, sizeof(up));
	print_colored(o, state_color(s->state), s->state);
	printf(": Docker ");
	if (s->docker.connected)
		print_colored(o, NULL, s->docker.version ? s->docker.version : "connected");
	else
		print_colored(o, RED, "not connected");
	printf("; ");
	print_colored(o, NULL, s->backend.name);
	printf(" %" PRIu64 " elements, %" PRIu64 " commits, %" PRIu64 " repairs; up %s\n",
	       s->backend.elements, s->backend.commits, s->backend.repairs, up);
	print_problems(o, s);
	print_uplinks(o, s);
	show_ndp_summary(s);
}

/* "A, B"; NULL if there is none, or no memory. */
static char *join(const struct api_texts *texts)
{
	char *all = NULL;
	size_t size = 0;
	FILE *f;

	if (texts->n == 0)
		return NULL;
	f = open_memstream(&all, &size);
	if (!f)
		return NULL;
	vec_foreach (t, texts)
		fprintf(f, "%s%s", t == texts->items ? "" : ", ", t->text);
	if (fclose(f) == 0)
		return all;
	free(all);
	return NULL;
}

static int add_network(struct table *t, const struct api_network *n)
{
	_cleanup_(freep) char *subnets = join(&n->subnets);
	const char *cells[] = { n->name, n->mode,   n->bridge, subnets, n->uplink,
				NULL,    n->reason, n->id,     n->snat, n->prefix };
	int r = table_add_line(t);

	for (size_t i = 0; i < N_ELEMENTS(cells) && r == 0; i++)
		r = i == 5 ? table_setf(t, i, "%zu", n->containers.n) : table_set(t, i, cells[i]);
	return r;
}

int show_networks(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		{ .name = "NETWORK", .width = 1 },
		{ .name = "MODE", .width = 1 },
		{ .name = "BRIDGE", .width = 1 },
		{ .name = "SUBNETS", .width = 1 },
		{ .name = "UPLINK", .width = 1 },
		{ .name = "CONTAINERS", .width = 1, .number = true },
		{ .name = "REASON", .width = 0.3, .trunc = true },
		{ .name = "ID", .width = 1, .extra = true },
		{ .name = "SNAT", .width = 1, .extra = true },
		{ .name = "PREFIX", .width = 1, .extra = true },
	};
	_cleanup_(table_freep) struct table *t = NULL;
	int r;

	r = table_new("networks", columns, N_ELEMENTS(columns), o, &t);
	if (r < 0)
		return r;
	vec_foreach (n, &s->networks) {
		r = add_network(t, n);
		if (r < 0)
			return r;
	}
	return table_print(t);
}

static void format_endpoint(const char *address, unsigned port, char *buffer, size_t size)
{
	if (strchr(address, ':'))
		snprintf(buffer, size, "[%s]:%u", address, port);
	else
		snprintf(buffer, size, "%s:%u", address, port);
}

enum port_column {
	COLUMN_CONTAINER,
	COLUMN_NETWORK,
	COLUMN_PROTOCOL,
	COLUMN_HOST,
	COLUMN_TARGET,
	COLUMN_STATE,
	COLUMN_CONNECTIONS,
	COLUMN_HOST_PORT,
	COLUMN_CONTAINER_PORT,
	COLUMN_ID,
};

static int add_port(struct table *t, const struct api_network *n, const struct api_container *c,
		    const struct api_port *p)
{
	char host[128] = "", target[128];
	int r = table_add_line(t);

	if (p->host_port > 0)
		format_endpoint(p->host_address, p->host_port, host, sizeof(host));
	format_endpoint(c->address ? c->address : "", p->container_port, target, sizeof(target));
	if (r == 0)
		r = table_set(t, COLUMN_CONTAINER, c->name);
	if (r == 0)
		r = table_set(t, COLUMN_NETWORK, n->name);
	if (r == 0)
		r = table_set(t, COLUMN_PROTOCOL, p->protocol);
	if (r == 0)
		r = table_set(t, COLUMN_HOST, host[0] != '\0' ? host : NULL);
	if (r == 0)
		r = table_set(t, COLUMN_TARGET, target);
	if (r == 0)
		r = table_set(t, COLUMN_STATE, p->state[0] != '\0' ? p->state : NULL);
	if (r == 0)
		r = table_setf(t, COLUMN_CONNECTIONS, "%" PRIu64, p->connections);
	if (r == 0)
		r = table_setf(t, COLUMN_HOST_PORT, "%u", p->host_port);
	if (r == 0)
		r = table_setf(t, COLUMN_CONTAINER_PORT, "%u", p->container_port);
	if (r == 0)
		r = table_set(t, COLUMN_ID, c->id);
	return r;
}

int show_ports(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		[COLUMN_CONTAINER] = { .name = "CONTAINER", .width = 1 },
		[COLUMN_NETWORK] = { .name = "NETWORK", .width = 1 },
		[COLUMN_PROTOCOL] = { .name = "PROTOCOL", .width = 1 },
		[COLUMN_HOST] = { .name = "HOST", .width = 1 },
		[COLUMN_TARGET] = { .name = "TARGET", .width = 1 },
		[COLUMN_STATE] = { .name = "STATE", .width = 1 },
		[COLUMN_CONNECTIONS] = { .name = "CONNECTIONS", .width = 1, .number = true },
		[COLUMN_HOST_PORT] = { .name = "HOSTPORT",
				       .width = 1,
				       .number = true,
				       .extra = true },
		[COLUMN_CONTAINER_PORT] = { .name = "CONTAINERPORT",
					    .width = 1,
					    .number = true,
					    .extra = true },
		[COLUMN_ID] = { .name = "ID", .width = 1, .extra = true },
	};
	_cleanup_(table_freep) struct table *t = NULL;
	int r;

	r = table_new("ports", columns, N_ELEMENTS(columns), o, &t);
	if (r < 0)
		return r;
	vec_foreach (n, &s->networks) {
		vec_foreach (c, &n->containers) {
			vec_foreach (p, &c->ports) {
				r = add_port(t, n, c, p);
				if (r < 0)
					return r;
			}
		}
	}
	return table_print(t);
}

static void print_port(FILE *f, const struct api_port *p)
{
	char host[128];

	if (p->host_port > 0 && strcmp(p->host_address, "::") == 0) {
		fprintf(f, "%u->", p->host_port);
	} else if (p->host_port > 0) {
		format_endpoint(p->host_address, p->host_port, host, sizeof(host));
		fprintf(f, "%s->", host);
	}
	fprintf(f, "%u/%s", p->container_port, p->protocol);
	if (p->state[0] != '\0' && strcmp(p->state, "active") != 0)
		fprintf(f, " (%s)", p->state);
}

/* "8080->80/tcp, [2001:db8::1]:53->53/udp, 443/tcp, 3 more" */
static char *join_ports(const struct api_container *c)
{
	char *all = NULL;
	size_t size = 0;
	FILE *f;

	if (c->ports.n == 0)
		return NULL;
	f = open_memstream(&all, &size);
	if (!f)
		return NULL;
	for (size_t i = 0; i < c->ports.n && i < MAX_PORTS_SHOWN; i++) {
		fprintf(f, "%s", i > 0 ? ", " : "");
		print_port(f, &c->ports.items[i]);
	}
	if (c->ports.n > MAX_PORTS_SHOWN)
		fprintf(f, ", %zu more", c->ports.n - MAX_PORTS_SHOWN);
	if (fclose(f) == 0)
		return all;
	free(all);
	return NULL;
}

static int add_container(struct table *t, const struct api_network *n,
			 const struct api_container *c)
{
	_cleanup_(freep) char *ports = join_ports(c);
	const char *cells[] = { c->name, n->name, c->address, ports };
	int r = table_add_line(t);

	for (size_t i = 0; i < N_ELEMENTS(cells) && r == 0; i++)
		r = table_set(t, i, cells[i]);
	return r;
}

int show_containers(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		{ .name = "CONTAINER", .width = 1 },
		{ .name = "NETWORK", .width = 1 },
		{ .name = "ADDRESS", .width = 1 },
		{ .name = "PORTS", .width = 0.5, .trunc = true },
	};
	_cleanup_(table_freep) struct table *t = NULL;
	int r;

	r = table_new("containers", columns, N_ELEMENTS(columns), o, &t);
	if (r < 0)
		return r;
	vec_foreach (n, &s->networks) {
		vec_foreach (c, &n->containers) {
			r = add_container(t, n, c);
			if (r < 0)
				return r;
		}
	}
	return table_print(t);
}
