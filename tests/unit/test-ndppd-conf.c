/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "wire/conf-ini.h"
#include "wire/ndppd-conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void parse_ok(const char *text, struct ndppd_conf *c)
{
	_cleanup_(freep) char *error = NULL;
	int r = ndppd_conf_parse(text, strlen(text), "n.conf", c, &error);

	if (r < 0)
		fail_msg("%s", error ? error : "no error text");
}

static void expect_error_bytes(const char *text, size_t n, const char *expected)
{
	_cleanup_(freep) char *error = NULL;
	struct ndppd_conf c;

	assert_int_equal(ndppd_conf_parse(text, n, "n.conf", &c, &error), -EINVAL);
	assert_non_null(error);
	if (strncmp(error, expected, strlen(expected)) != 0)
		fail_msg("\"%s\" instead of \"%s\"", error, expected);
}

static void expect_error(const char *text, const char *expected)
{
	expect_error_bytes(text, strlen(text), expected);
}

/* What becomes of text, which our own configuration has to accept without a warning. */
static char *convert(const char *text, struct config *config)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(fclosep) FILE *f = NULL;
	struct ndppd_conf c;
	char *ini = NULL;

	parse_ok(text, &c);
	assert_int_equal(ndppd_conf_to_ini(&c, &ini), 0);
	ndppd_conf_done(&c);
	f = fmemopen(ini, strlen(ini), "r");
	assert_non_null(f);
	assert_int_equal(config_init(config), 0);
	if (conf_ini_parse(f, "ini", config, &error) < 0)
		fail_msg("%s in:\n%s", error ? error : "no error text", ini);
	assert_int_equal(config->warnings.n, 0);
	return ini;
}

/* The comments of the result without their line breaks. */
static void expect_text(const char *text, const char *expected)
{
	struct config config;
	_cleanup_(freep) char *ini = convert(text, &config);
	char *q = ini;

	config_done(&config);
	for (const char *p = ini; *p != '\0';) {
		if (strncmp(p, "\n#   ", 5) == 0) {
			*q++ = ' ';
			p += 5;
		} else {
			*q++ = *p++;
		}
	}
	*q = '\0';
	if (!strstr(ini, expected))
		fail_msg("\"%s\" is not in:\n%s", expected, ini);
}

static const char *prefix_of(const struct inet_prefix *p)
{
	static char buffer[INET_PREFIX_TEXT];

	return inet_prefix_format(p, buffer);
}

/* A file as those of 0.2.5: every option of its manual page. */
static const char sample_025[] = "# the usual\n"
				 "route-ttl 20000\n"
				 "\n"
				 "proxy eth0 {\n"
				 "   router yes\n"
				 "   timeout 300   // ms\n"
				 "   ttl 20000\n"
				 "   rule 2001:db8:1::5 { static }\n"
				 "   rule 2001:db8:1:0:d0::/80 {\n"
				 "      auto\n"
				 "   }\n"
				 "   /* a whole\n"
				 "      network */\n"
				 "   rule 2001:db8:1:0:e0::/80 {\n"
				 "      iface lan0\n"
				 "   }\n"
				 "   rule 2001:db8:1:0:f0::/120 {\n"
				 "   }\n"
				 "}\n";

/* A file as those of 0.2.6: what it has in addition, and more than one proxy. */
static const char sample_026[] = "route-ttl 20000\n"
				 "address-ttl 20000\n"
				 "proxy wan0 {\n"
				 "  router no\n"
				 "  timeout 500\n"
				 "  autowire yes\n"
				 "  keepalive no\n"
				 "  retries 5\n"
				 "  promiscuous yes\n"
				 "  ttl 9000\n"
				 "  deadtime 1000\n"
				 "  rule 2001:db8:2::/64 {\n"
				 "    iface br-0123456789ab\n"
				 "    autovia yes\n"
				 "  }\n"
				 "}\n"
				 "proxy docker0 {\n"
				 "  autowire no\n"
				 "  promiscuous false\n"
				 "  rule ::/0 { iface wan0 }\n"
				 "}\n"
				 "proxy wan0 { rule 2001:db8:3::/126 { static } }\n";

/* Proxies, rules and methods land where they belong, with their lines. */
static void test_structure(void **state)
{
	const struct ndppd_proxy *p;
	struct ndppd_conf c;

	(void)state;
	parse_ok(sample_025, &c);
	assert_int_equal(c.proxies.n, 1);
	assert_int_equal(c.options.n, 1);
	assert_string_equal(c.options.items[0].name, "route-ttl");
	assert_string_equal(c.options.items[0].value, "20000");
	p = &c.proxies.items[0];
	assert_string_equal(p->interface, "eth0");
	assert_int_equal(p->line, 4);
	assert_int_equal(p->options.n, 3);
	assert_string_equal(p->options.items[1].value, "300");
	assert_int_equal(p->rules.n, 4);
	assert_string_equal(prefix_of(&p->rules.items[0].prefix), "2001:db8:1::5/128");
	assert_int_equal(p->rules.items[0].method, NDPPD_METHOD_STATIC);
	assert_int_equal(p->rules.items[1].method, NDPPD_METHOD_AUTO);
	assert_int_equal(p->rules.items[2].method, NDPPD_METHOD_IFACE);
	assert_string_equal(p->rules.items[2].interface, "lan0");
	assert_int_equal(p->rules.items[2].line, 14);
	assert_int_equal(p->rules.items[3].method, NDPPD_METHOD_NONE);
	ndppd_conf_done(&c);
}

/* Static rules, and no others, become rules; proxies become uplinks but for Docker's bridges. */
static void test_samples(void **state)
{
	struct config config;
	char *ini;

	(void)state;
	ini = convert(sample_025, &config);
	assert_int_equal(config.uplinks.n, 1);
	assert_string_equal(config.uplinks.items[0].text, "eth0");
	assert_int_equal(config.proxies.n, 1);
	assert_int_equal(config.proxies.items[0].prefixes.n, 2);
	assert_string_equal(prefix_of(&config.proxies.items[0].prefixes.items[0]),
			    "2001:db8:1::5/128");
	assert_string_equal(prefix_of(&config.proxies.items[0].prefixes.items[1]),
			    "2001:db8:1:0:f0::/120");
	config_done(&config);
	free(ini);

	ini = convert(sample_026, &config);
	assert_int_equal(config.uplinks.n, 1);
	assert_string_equal(config.uplinks.items[0].text, "wan0");
	assert_int_equal(config.proxies.n, 1);
	assert_string_equal(config.proxies.items[0].interface, "wan0");
	assert_int_equal(config.proxies.items[0].prefixes.n, 1);
	config_done(&config);
	free(ini);
}

/* Nothing is left out in silence: each construct has its line and its reason. */
static void test_explanations(void **state)
{
	(void)state;
	expect_text(sample_025, "line 2, route-ttl 20000: not needed: the kernel tells");
	expect_text(sample_025, "line 5, router yes: the same here");
	expect_text(sample_025, "line 6, timeout 300: not needed: nobody is asked");
	expect_text(sample_025, "line 7, ttl 20000: not needed: no solicitation is remembered");
	expect_text(sample_025, "line 8, rule 2001:db8:1::5/128 { static }: every address of it");
	expect_text(sample_025, "answered without it.\nPrefix=2001:db8:1::5/128\n");
	expect_text(sample_025, "line 9, rule 2001:db8:1:0:d0::/80 { auto }: not needed for");
	expect_text(sample_025, "keep it narrow.\n#Prefix=2001:db8:1:0:d0::/80\n");
	expect_text(sample_025, "line 14, rule 2001:db8:1:0:e0::/80 { iface lan0 }: not needed if");
	expect_text(sample_025, "#Prefix=2001:db8:1:0:e0::/80\n");
	expect_text(sample_025, "line 17: the rule names no method");
	expect_text(sample_026, "line 2, address-ttl 20000: not needed: the kernel tells");
	expect_text(sample_026, "line 4, router no: no counterpart");
	expect_text(sample_026, "line 6, autowire yes: no counterpart: routes are not added");
	expect_text(sample_026, "line 7, keepalive no: not needed");
	expect_text(sample_026, "line 8, retries 5: not needed");
	expect_text(sample_026, "line 9, promiscuous yes: not needed");
	expect_text(sample_026, "line 11, deadtime 1000: not needed");
	expect_text(sample_026, "{ iface br-0123456789ab }: not needed: the interface is Docker's");
	expect_text(sample_026, "line 14, autovia yes: no counterpart");
	expect_text(sample_026, "line 17, proxy docker0: the interface is Docker's, and no uplink");
	expect_text(sample_026, "\nInterface=wan0\n# line 17, proxy docker0: the interface is "
				"Docker's, and no uplink.\n\n#[Proxy wan0]\n");
	expect_text(sample_026, "line 18, autowire no: the same here");
	expect_text(sample_026, "line 19, promiscuous false: the same here");
	expect_text("proxy e { rule ::/64 { static } }", "It is wide: narrow it");
	expect_text("", "There is no proxy in it");
	expect_text("proxy e", "line 1, proxy e: without a rule");
	expect_text("colour red\n", "line 1, colour red: ndppd does not know this");
	expect_text("ttl 5", "line 1, ttl 5: ndppd does not know this here");
	expect_text("proxy e {\nttl 5\nttl 6\n}", "line 3, ttl 6: ndppd takes the first one");
	expect_text("proxy e {}\n/* ttl", "line 2: a comment begins here that is never closed");
}

/* Where 0.2.5 takes several methods, or none, so do we, and say that later ones do not. */
static void test_methods(void **state)
{
	struct config config;
	char *ini;

	(void)state;
	expect_text("proxy e { rule 2001:db8:1::/112 { auto\nstatic } }", "names several methods");
	expect_text("proxy e { rule 2001:db8:1::/112 { auto\nstatic } }",
		    "\n#Prefix=2001:db8:1::/112\n");
	expect_text("proxy e { rule 2001:db8:1::/112 { iface x auto } }",
		    "\n#Prefix=2001:db8:1::/112\n");
	expect_text("proxy e { rule 2001:db8:1::/112 { static\niface x\n } }",
		    "{ iface x }: not needed if");
	ini = convert(
		"proxy e { rule 2001:db8:1::/112 { static } rule 2001:db8:2::/112 rule 2001:db8:3::/112 }",
		&config);
	assert_int_equal(config.proxies.items[0].prefixes.n, 3);
	config_done(&config);
	free(ini);
}

/* White space, comments, '=' and several statements on a line, as ndppd reads them. */
static void test_layout(void **state)
{
	static const char *const same[] = {
		"proxy e{rule 2001:db8::/112{static}}",
		"proxy = e {rule=2001:db8::/112 {static\n}\n}\n",
		"\r\n\tproxy\te\t{\r\n\trule 2001:db8::/112 {\r\n static\r\n}\r\n}\r\n",
		"proxy e { # rule ::1 {\n rule 2001:db8::/112 // {\n{ static } }",
		"proxy/* a\nb */e /**/ {/*/rule 2001:db8::/112 { static/* */ } }",
		"proxy \"e\" { rule '2001:db8::/112' { static no; } }",
		"proxy e { rule 2001:db8::7/112 { static { nothing { here } } } }",
		"other { proxy x { rule ::1 { static } } }\nproxy e {rule 2001:db8::/112{static}}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(same); i++) {
		struct ndppd_conf c;

		/* ndppd would miss this block: it does not stand on its rule's line */
		if (i == 3) {
			expect_error(same[i], "n.conf:3: \"{\" has to stand on the line");
			continue;
		}
		parse_ok(same[i], &c);
		assert_int_equal(c.proxies.n, 1);
		assert_string_equal(c.proxies.items[0].interface, "e");
		assert_int_equal(c.proxies.items[0].rules.n, 1);
		assert_int_equal(c.proxies.items[0].rules.items[0].method, NDPPD_METHOD_STATIC);
		assert_string_equal(prefix_of(&c.proxies.items[0].rules.items[0].prefix),
				    "2001:db8::/112");
		ndppd_conf_done(&c);
	}
}

/* Mistakes name file, line and what. */
static void test_errors(void **state)
{
	(void)state;
	expect_error("\n\nproxy {\n}", "n.conf:3: proxy without the name");
	expect_error("proxy a/b {}", "n.conf:1: proxy a/b: this is no name");
	expect_error("proxy sixteen-letters- {}", "n.conf:1: proxy sixteen-letters-: this is");
	expect_error("proxy auto {}", "n.conf:1: proxy auto: this is no name");
	expect_error("proxy #e\n{}", "n.conf:1: proxy without the name");
	expect_error("proxy 'a b' {}", "n.conf:1: proxy a b: this is no name");
	expect_error("proxy e {\nrule {} }", "n.conf:2: rule without an IPv6 address");
	expect_error("proxy e {\nrule 10.0.0.1 {} }", "n.conf:2: rule 10.0.0.1: this is no");
	expect_error("proxy e {\nrule ::/129 {} }", "n.conf:2: rule ::/129: this is no");
	expect_error("proxy e { rule ::1 {\niface\n} }", "n.conf:2: iface without the name");
	expect_error("proxy e { rule ::1 {\niface eth0; } }", "n.conf:2: iface eth0;: this is no");
	expect_error("proxy e {\nrule ::1 {\n", "n.conf:2: this block is not closed");
	expect_error("proxy e {\n/* }\n", "n.conf:1: this block is not closed");
	expect_error("proxy e { }\n}", "n.conf:2: \"}\" without \"{\"");
	expect_error("proxy e\n{\n}", "n.conf:2: \"{\" has to stand on the line");
	expect_error("proxy e;\n", "n.conf:1: proxy e;: this is no name");
	expect_error("a b\n; c", "n.conf:2: unexpected character \";\"");
	expect_error("\xef\xbb\xbfproxy e {}", "n.conf:1: unexpected character 0xef");
	expect_error("a \"b\nc\"", "n.conf:1: a quote is not closed");
	expect_error("a{a{a{a{a{a{a{\na{}}}}}}}}", "n.conf:2: too many blocks within blocks");
	expect_error_bytes("a\0b", 3, "n.conf:1: this is not a text file");
}

/* Whatever is repeated without end has an end. */
static void test_bounds(void **state)
{
	_cleanup_(freep) char *text = malloc(NDPPD_CONF_MAX + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', NDPPD_CONF_MAX + 1);
	expect_error_bytes(text, NDPPD_CONF_MAX + 1, "n.conf:1: the file is larger");
	expect_error_bytes(text, NDPPD_CONF_MAX, "n.conf:1: a word of more than 255");
	for (size_t i = 0; i < NDPPD_CONF_MAX; i += 2)
		memcpy(text + i, "a\n", 2);
	expect_error_bytes(text, NDPPD_CONF_MAX, "n.conf:65537: more than 65536 statements");
	for (size_t i = 0; i < NDPPD_CONF_MAX; i += 8)
		memcpy(text + i, "proxy e\n", 8);
	expect_error_bytes(text, NDPPD_CONF_MAX, "n.conf:257: more than 256 proxies");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),    cmocka_unit_test(test_samples),
		cmocka_unit_test(test_explanations), cmocka_unit_test(test_methods),
		cmocka_unit_test(test_layout),       cmocka_unit_test(test_errors),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
