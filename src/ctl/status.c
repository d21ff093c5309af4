/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole picture: what is right in a line, what is wrong before all else, the rest as it fits. */
#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* More ports of one container than this are counted here; "ports" lists all. */
#define MAX_PORTS_SHOWN 4
/* So many problems of one kind explain themselves; on a screen the others are counted. */
#define MAX_SAME_PROBLEMS 3
#define PROBLEM_INDENT 9

/* What output may take. Where it is no terminal there are no limits: all is for a pager or a file. */
struct screen {
	size_t width;     /* 0: none */
	size_t max_lines; /* of one table */
};

static struct screen screen_get(void)
{
	struct screen screen;
	size_t lines;

	flow_screen(&screen.width, &lines);
	/* half a screen for each of the two tables */
	screen.max_lines = MAX_OF(lines / 2, 8u);
	return screen;
}

static const char *state_color(const struct ctl_options *o, const char *state)
{
	if (!o->color)
		return NULL;
	return strcmp(state, "ok") == 0         ? CTL_GREEN
	       : strcmp(state, "starting") == 0 ? CTL_YELLOW
						: CTL_RED;
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

static void print_state(const struct ctl_options *o, const struct screen *screen,
			const struct api_status *s)
{
	struct flow f = { .indent = 4, .width = screen->width };
	const char *red = o->color ? CTL_RED : NULL;
	char up[32];

	format_duration(s->uptime_s, up, sizeof(up));
	flow_print(&f, state_color(o, s->state), "%s:", s->state);
	flow_print(&f, NULL, "Docker");
	if (s->docker.connected)
		flow_print(&f, NULL, "%s;", s->docker.version ? s->docker.version : "connected");
	else
		flow_print(&f, red, "not connected;");
	flow_print(&f, NULL,
		   "%s %" PRIu64 " elements, %" PRIu64 " commits, %" PRIu64 " repairs; up %s",
		   s->backend.name, s->backend.elements, s->backend.commits, s->backend.repairs,
		   up);
	putchar('\n');
}

/* -- problems -------------------------------------------------------------------------------- */

enum severity {
	SEVERITY_ERROR,
	SEVERITY_WARNING, /* and what we do not know */
	SEVERITY_NOTICE,
	_SEVERITY_MAX,
};

static enum severity severity_of(const struct api_problem *p)
{
	if (strcmp(p->severity, "error") == 0)
		return SEVERITY_ERROR;
	return strcmp(p->severity, "notice") == 0 ? SEVERITY_NOTICE : SEVERITY_WARNING;
}

static bool is_same_kind(const struct api_problem *a, const struct api_problem *b)
{
	return strcmp(a->code, b->code) == 0 && severity_of(a) == severity_of(b);
}

/* The next one of its kind, or NULL. */
static const struct api_problem *next_of_kind(const struct api_status *s,
					      const struct api_problem *p)
{
	for (const struct api_problem *q = p + 1; q < s->problems.items + s->problems.n; q++)
		if (is_same_kind(p, q))
			return q;
	return NULL;
}

static bool is_first_of_kind(const struct api_status *s, const struct api_problem *p)
{
	for (const struct api_problem *q = s->problems.items; q < p; q++)
		if (is_same_kind(p, q))
			return false;
	return true;
}

static void print_line(size_t indent, const struct screen *screen, const char *text)
{
	/* A command is for a shell, which takes a line's end for its own: it stays one line. */
	size_t width = strstr(text, " | ") ? 0 : screen->width;
	struct flow f = { .indent = indent, .width = width, .column = indent };

	printf("%*s", (int)indent, "");
	flow_print(&f, NULL, "%s", text);
	putchar('\n');
}

static void print_problem(const struct ctl_options *o, const struct screen *screen,
			  const struct api_problem *p)
{
	static const char *const colors[_SEVERITY_MAX] = { CTL_RED, CTL_YELLOW, NULL };
	struct flow f = { .indent = PROBLEM_INDENT, .width = screen->width };

	flow_print(&f, o->color ? colors[severity_of(p)] : NULL, "%s", p->severity);
	while (f.column + 1 < PROBLEM_INDENT) {
		putchar(' ');
		f.column++;
	}
	flow_print(&f, NULL, "%s: %s", p->code, p->message);
	putchar('\n');
}

/* What has one cure shows it once, after the last of them. */
static void print_problems_of_kind(const struct ctl_options *o, const struct screen *screen,
				   const struct api_status *s, const struct api_problem *first)
{
	const struct api_problem *next, *p = first;
	size_t n = 0;

	for (; p; p = next, n++) {
		bool is_last_shown = screen->width > 0 && n + 1 == MAX_SAME_PROBLEMS;

		next = next_of_kind(s, p);
		print_problem(o, screen, p);
		if (p->cure[0] != '\0' &&
		    (!next || is_last_shown || strcmp(p->cure, next->cure) != 0)) {
			_cleanup_(freep) char *cure = NULL;

			if (asprintf(&cure, "cure: %s", p->cure) < 0)
				cure = NULL;
			print_line(PROBLEM_INDENT, screen, cure ? cure : p->cure);
		}
		if (next && is_last_shown)
			break;
	}
	for (n = 0; p && (p = next_of_kind(s, p));)
		n++;
	if (n > 0)
		printf("%*s%zu more of this kind; all: ipv6natctl status | less\n", PROBLEM_INDENT,
		       "", n);
}

static void print_problems(const struct ctl_options *o, const struct screen *screen,
			   const struct api_status *s)
{
	for (enum severity severity = 0; severity < _SEVERITY_MAX; severity++)
		vec_foreach (p, &s->problems)
			if (severity_of(p) == severity && is_first_of_kind(s, p))
				print_problems_of_kind(o, screen, s, p);
}

/* -- uplinks --------------------------------------------------------------------------------- */

static void print_uplinks(const struct ctl_options *o, const struct screen *screen,
			  const struct api_status *s)
{
	struct flow f = { .indent = 4, .width = screen->width };

	flow_print(&f, NULL, s->uplinks.n > 0 ? "Uplinks:" : "Uplinks: none");
	vec_foreach (u, &s->uplinks) {
		const char *comma = u + 1 < s->uplinks.items + s->uplinks.n ? "," : "";
		bool has_more = u->prefixes.n > 0;

		flow_print(&f, NULL, "%s%s", u->interface, u->up && !has_more ? comma : "");
		if (!u->up)
			flow_print(&f, o->color ? CTL_YELLOW : NULL, "down%s",
				   has_more ? "" : comma);
		vec_foreach (p, &u->prefixes) {
			has_more = p + 1 < u->prefixes.items + u->prefixes.n;
			flow_print(&f, NULL, "%s%s", p->text, has_more ? "" : comma);
		}
	}
	putchar('\n');
}

static const char *plural(uint64_t n, const char *ending)
{
	return n == 1 ? "" : ending;
}

static void print_ndp(const struct screen *screen, const struct api_ndp *n)
{
	struct flow f = { .indent = 4, .width = screen->width };
	uint64_t dropped = 0;

	vec_foreach (d, &n->drops)
		dropped += d->count;
	flow_print(&f, NULL, "%s: %" PRIu64 " address%s", n->interface, n->targets,
		   plural(n->targets, "es"));
	if (n->rules.n > 0)
		flow_print(&f, NULL, "and %zu static rule%s", n->rules.n, plural(n->rules.n, "s"));
	flow_print(&f, NULL, "answered, %" PRIu64 " solicitation%s, %" PRIu64 " advertisement%s%s",
		   n->solicitations, plural(n->solicitations, "s"), n->advertisements,
		   plural(n->advertisements, "s"), dropped > 0 || n->lost > 0 ? "," : "");
	if (dropped > 0)
		flow_print(&f, NULL, "%" PRIu64 " dropped", dropped);
	vec_foreach (d, &n->drops) {
		bool is_last = d + 1 == n->drops.items + n->drops.n;

		if (dropped > 0)
			flow_print(&f, NULL, "%s%s %" PRIu64 "%s", d == n->drops.items ? "(" : "",
				   d->reason, d->count,
				   !is_last      ? ","
				   : n->lost > 0 ? "),"
						 : ")");
	}
	if (n->lost > 0)
		flow_print(&f, NULL, "%" PRIu64 " lost", n->lost);
	putchar('\n');
}

/* -- networks and containers ----------------------------------------------------------------- */

static size_t count_published(const struct api_network *n)
{
	size_t count = 0;

	vec_foreach (c, &n->containers)
		vec_foreach (p, &c->ports)
			count += p->host_port > 0;
	return count;
}

/* How many networks have the mode of this one, if it is the first that has it; else 0. */
static size_t count_mode(const struct api_status *s, const struct api_network *first,
			 size_t *ret_containers, size_t *ret_ports)
{
	size_t count = 0, containers = 0, ports = 0;

	vec_foreach (n, &s->networks) {
		if (strcmp(n->mode, first->mode) != 0)
			continue;
		if (n < first)
			return 0;
		count++;
		containers += n->containers.n;
		ports += count_published(n);
	}
	*ret_containers = containers;
	*ret_ports = ports;
	return count;
}

static int print_modes(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		{ .name = "MODE" },
		{ .name = "NETWORKS", .number = true },
		{ .name = "CONTAINERS", .number = true },
		{ .name = "PORTS", .number = true },
	};
	static const struct table_layout layout = { "modes", columns, N_ELEMENTS(columns) };
	_cleanup_(table_freep) struct table *t = NULL;
	int r = table_new(&layout, o, &t);

	vec_foreach (n, &s->networks) {
		size_t n_containers = 0, n_ports = 0;
		size_t n_networks = count_mode(s, n, &n_containers, &n_ports);

		if (n_networks == 0 || r < 0)
			continue;
		r = table_add_line(t);
		if (r == 0)
			r = table_set(t, 0, n->mode);
		if (r == 0)
			r = table_setf(t, 1, "%zu", n_networks);
		if (r == 0)
			r = table_setf(t, 2, "%zu", n_containers);
		if (r == 0)
			r = table_setf(t, 3, "%zu", n_ports);
	}
	return r == 0 ? table_print(t) : r;
}

static int print_networks(const struct ctl_options *o, const struct screen *screen,
			  const struct api_status *s)
{
	struct ctl_options short_table = *o;
	int r;

	if (s->networks.n + 1 <= screen->max_lines) {
		short_table.columns = "NETWORK,MODE,SUBNETS,CONTAINERS,REASON";
		return show_networks(&short_table, s);
	}
	r = print_modes(o, s);
	if (r == 0)
		puts("Each of them: ipv6natctl networks");
	return r;
}

static void print_port(FILE *f, const struct api_port *p)
{
	if (p->host_port > 0 && strcmp(p->host_address, "::") == 0)
		fprintf(f, "%u->", p->host_port);
	else if (p->host_port > 0)
		fprintf(f, strchr(p->host_address, ':') ? "[%s]:%u->" : "%s:%u->", p->host_address,
			p->host_port);
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

static int print_container_table(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		{ .name = "CONTAINER" },
		{ .name = "NETWORK" },
		{ .name = "ADDRESS" },
		{ .name = "PORTS", .wrap = true },
	};
	static const struct table_layout layout = { "containers", columns, N_ELEMENTS(columns) };
	_cleanup_(table_freep) struct table *t = NULL;
	int r = table_new(&layout, o, &t);

	vec_foreach (n, &s->networks)
		vec_foreach (c, &n->containers)
			if (r == 0)
				r = add_container(t, n, c);
	return r == 0 ? table_print(t) : r;
}

static int print_containers(const struct ctl_options *o, const struct screen *screen,
			    const struct api_status *s)
{
	size_t n_containers = 0, n_ports = 0;

	vec_foreach (n, &s->networks) {
		n_containers += n->containers.n;
		n_ports += count_published(n);
	}
	if (n_containers == 0)
		return 0;
	putchar('\n');
	if (n_containers + 1 <= screen->max_lines)
		return print_container_table(o, s);
	printf("%zu containers with %zu published ports: ipv6natctl ports\n"
	       "All in one list: ipv6natctl status | less\n",
	       n_containers, n_ports);
	return 0;
}

int status_show(const struct ctl_options *o, const struct api_status *s)
{
	struct screen screen = screen_get();
	int r;

	print_state(o, &screen, s);
	print_problems(o, &screen, s);
	print_uplinks(o, &screen, s);
	vec_foreach (n, &s->ndps)
		print_ndp(&screen, n);
	if (s->networks.n == 0) {
		puts("No network with IPv6.");
		return 0;
	}
	putchar('\n');
	r = print_networks(o, &screen, s);
	return r == 0 ? print_containers(o, &screen, s) : r;
}
