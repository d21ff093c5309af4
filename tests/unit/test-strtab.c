/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every table of names there is (tests/check/enums.sh compares this list with the headers). */
#include "base/config.h"
#include "base/facts.h"
#include "base/links.h"
#include "base/ndp.h"
#include "base/ruleset.h"
#include "base/status.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct table {
	const char *name;
	int n_values;
	const char *(*to_string)(unsigned);
	int (*from_string)(const char *);
};

/* Enums of different types: a function of its own for each is what C allows to call. */
#define TABLE(prefix, max)                                                           \
	static const char *name_of_##prefix(unsigned v)                              \
	{                                                                            \
		return prefix##_to_string(v);                                        \
	}                                                                            \
	static const struct table table_##prefix = { #prefix, max, name_of_##prefix, \
						     prefix##_from_string };

TABLE(config_backend, _CONFIG_BACKEND_MAX)
TABLE(config_on_stop, _CONFIG_ON_STOP_MAX)
TABLE(config_unpublished, _CONFIG_UNPUBLISHED_MAX)
TABLE(config_foreign_forward, _CONFIG_FOREIGN_FORWARD_MAX)
TABLE(config_forwarding, _CONFIG_FORWARDING_MAX)
TABLE(config_ndp_override, _CONFIG_NDP_OVERRIDE_MAX)
TABLE(net_mode, _NET_MODE_MAX)
TABLE(links_ip6tables, _IP6TABLES_MAX)
TABLE(container_state, _CONTAINER_STATE_MAX)
TABLE(ruleset_family, _RULESET_FAMILY_MAX)
TABLE(ruleset_verdict, _RULESET_VERDICT_MAX)
TABLE(problem_code, _PROBLEM_CODE_MAX)
TABLE(problem_severity, _PROBLEM_SEVERITY_MAX)
TABLE(port_state, _PORT_STATE_MAX)
TABLE(ndp_drop, _NDP_DROP_MAX)

static const struct table *const tables[] = {
	&table_config_backend,     &table_config_on_stop,
	&table_config_unpublished, &table_config_foreign_forward,
	&table_config_forwarding,  &table_config_ndp_override,
	&table_net_mode,           &table_links_ip6tables,
	&table_container_state,    &table_links_ip6tables,
	&table_container_state,    &table_ruleset_family,
	&table_ruleset_verdict,    &table_problem_code,
	&table_problem_severity,   &table_port_state,
	&table_ndp_drop,
};

/* A value without a name would show as "(null)"; a name given twice would lead to another value. */
static void test_no_holes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		const struct table *t = tables[i];

		for (int v = 0; v < t->n_values; v++) {
			const char *name = t->to_string((unsigned)v);

			if (!name)
				fail_msg("%s has no name for %d", t->name, v);
			if (t->from_string(name) != v)
				fail_msg("%s: \"%s\" is not %d alone", t->name, name, v);
		}
		assert_null(t->to_string((unsigned)t->n_values));
		assert_int_equal(t->from_string("no such name"), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
