/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is answered on the uplinks. */
#include "ctl/ctl.h"

#include <inttypes.h>
#include <stdio.h>

static void print_count(uint64_t n, const char *noun, const char *plural)
{
	printf("%" PRIu64 " %s%s", n, noun, n == 1 ? "" : plural);
}

static void print_drops(const struct api_ndp *n)
{
	uint64_t total = 0;

	vec_foreach (d, &n->drops)
		total += d->count;
	if (total == 0)
		return;
	printf(", %" PRIu64 " dropped (", total);
	vec_foreach (d, &n->drops) {
		_cleanup_(freep) char *reason = ctl_escape(d->reason, "");

		printf("%s%s %" PRIu64, d == n->drops.items ? "" : ", ", reason ? reason : "",
		       d->count);
	}
	printf(")");
}

void show_ndp_summary(const struct api_status *s)
{
	vec_foreach (n, &s->ndps) {
		_cleanup_(freep) char *interface = ctl_escape(n->interface, "");

		printf("%s: ", interface ? interface : "");
		print_count(n->targets, "address", "es");
		if (n->rules.n > 0) {
			printf(" and ");
			print_count(n->rules.n, "static rule", "s");
		}
		printf(" answered, ");
		print_count(n->solicitations, "solicitation", "s");
		printf(", ");
		print_count(n->advertisements, "advertisement", "s");
		print_drops(n);
		if (n->lost > 0)
			printf(", %" PRIu64 " lost", n->lost);
		putchar('\n');
	}
}

enum address_column {
	COLUMN_ADDRESS,
	COLUMN_INTERFACE,
	COLUMN_CONTAINER,
	COLUMN_NETWORK,
	COLUMN_KIND,
	COLUMN_ID,
	_COLUMN_MAX,
};

static int add_line(struct table *t, const char *const cells[static _COLUMN_MAX])
{
	int r = table_add_line(t);

	for (size_t i = 0; i < _COLUMN_MAX && r == 0; i++)
		r = table_set(t, i, cells[i]);
	return r;
}

static int add_containers(struct table *t, const struct api_network *n)
{
	int r = 0;

	vec_foreach (c, &n->containers) {
		const char *const cells[] = {
			[COLUMN_ADDRESS] = c->public ? c->public : c->address,
			[COLUMN_INTERFACE] = c->answered,
			[COLUMN_CONTAINER] = c->name,
			[COLUMN_NETWORK] = n->name,
			[COLUMN_KIND] = "container",
			[COLUMN_ID] = c->id,
		};

		if (c->answered && r == 0)
			r = add_line(t, cells);
	}
	return r;
}

static int add_rules(struct table *t, const struct api_ndp *n)
{
	int r = 0;

	vec_foreach (prefix, &n->rules) {
		const char *const cells[_COLUMN_MAX] = {
			[COLUMN_ADDRESS] = prefix->text,
			[COLUMN_INTERFACE] = n->interface,
			[COLUMN_KIND] = "rule",
		};

		if (r == 0)
			r = add_line(t, cells);
	}
	return r;
}

int show_addresses(const struct ctl_options *o, const struct api_status *s)
{
	static const struct table_column columns[] = {
		[COLUMN_ADDRESS] = { .name = "ADDRESS", .width = 1 },
		[COLUMN_INTERFACE] = { .name = "INTERFACE", .width = 1 },
		[COLUMN_CONTAINER] = { .name = "CONTAINER", .width = 1 },
		[COLUMN_NETWORK] = { .name = "NETWORK", .width = 1 },
		[COLUMN_KIND] = { .name = "KIND", .width = 1 },
		[COLUMN_ID] = { .name = "ID", .width = 1, .extra = true },
	};
	_cleanup_(table_freep) struct table *t = NULL;
	int r;

	r = table_new("addresses", columns, N_ELEMENTS(columns), o, &t);
	vec_foreach (n, &s->networks)
		if (r == 0)
			r = add_containers(t, n);
	vec_foreach (n, &s->ndps)
		if (r == 0)
			r = add_rules(t, n);
	return r == 0 ? table_print(t) : r;
}
