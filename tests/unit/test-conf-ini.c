/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/own.h"
#include "wire/conf-ini.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <syslog.h>

#include <cmocka.h>

static int parse_bytes(const char *text, size_t n, struct config *c, char **ret_error)
{
	_cleanup_(fclosep) FILE *f = fmemopen((void *)(uintptr_t)text, n, "r");

	assert_non_null(f);
	return conf_ini_parse(f, "f.conf", c, ret_error);
}

static void parse_ok(const char *text, struct config *c)
{
	_cleanup_(freep) char *error = NULL;
	int r = parse_bytes(text, strlen(text), c, &error);

	if (r < 0)
		fail_msg("%s", error ? error : "no error text");
}

static void expect_error_bytes(const char *text, size_t n, const char *expected)
{
	_cleanup_(freep) char *error = NULL;
	struct config c;

	assert_int_equal(config_init(&c), 0);
	assert_int_equal(parse_bytes(text, n, &c, &error), -EINVAL);
	assert_non_null(error);
	if (strncmp(error, expected, strlen(expected)) != 0)
		fail_msg("\"%s\" instead of \"%s\"", error, expected);
	config_done(&c);
}

static void expect_error(const char *text, const char *expected)
{
	expect_error_bytes(text, strlen(text), expected);
}

static const char *text_of(const struct in6_addr *a)
{
	static char buffer[INET_ADDR_TEXT];

	return inet_format(a, buffer);
}

/* Every key of DESIGN section 7 is understood and lands where it belongs. */
static void test_all_keys(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok("[Daemon]\nBackend=nftables\nOnStop=remove\nLogLevel=debug\n"
		 "[Docker]\nHost=tcp://[::1]:2375\nCertPath=/etc/certs\nResyncSec=60\n"
		 "[Uplink]\nInterface=eth0\nInterface=eth1\n"
		 "[NDP]\nAnswer=no\nSource=fe80::1\nOverride=always\nAnnounce=false\nRatePerSec=9\n"
		 "[Firewall]\nUnpublished=accept\nForeignForward=report\nForwarding=report\n"
		 "[Proxy eth0]\nPrefix=2001:db8:1:0:d0::/80\nPrefix=2001:db8:2::/64\n"
		 "[Pool web]\nRange=2001:db8:1::80/121\nUplink=eth0\nPorts=all\n"
		 "[Network mail_*]\nMode=nat\nSnat=2001:db8::5\nPrefix=2001:db8:9::/64\n"
		 "Firewall=open\nUplink=eth1\nTrusted=wg0 wg1\n"
		 "[Metrics]\nListen=[::1]:9469\n",
		 &c);
	assert_int_equal(c.backend, CONFIG_BACKEND_NFTABLES);
	assert_int_equal(c.on_stop, CONFIG_ON_STOP_REMOVE);
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_string_equal(c.docker_host, "tcp://[::1]:2375");
	assert_string_equal(c.docker_cert_path, "/etc/certs");
	assert_int_equal(c.resync_s, 60);
	assert_int_equal(c.uplinks.n, 2);
	assert_string_equal(c.uplinks.items[1].text, "eth1");
	assert_false(c.ndp_answer);
	assert_int_equal(c.ndp_source, CONFIG_NDP_SOURCE_ADDRESS);
	assert_string_equal(text_of(&c.ndp_source_address), "fe80::1");
	assert_int_equal(c.ndp_override, CONFIG_NDP_OVERRIDE_ALWAYS);
	assert_false(c.ndp_announce);
	assert_int_equal(c.ndp_rate_per_s, 9);
	assert_int_equal(c.unpublished, CONFIG_UNPUBLISHED_ACCEPT);
	assert_int_equal(c.forwarding, CONFIG_FORWARDING_REPORT);
	assert_int_equal(c.proxies.n, 1);
	assert_string_equal(c.proxies.items[0].interface, "eth0");
	assert_int_equal(c.proxies.items[0].prefixes.n, 2);
	assert_int_equal(c.pools.n, 1);
	assert_true(c.pools.items[0].has_range && c.pools.items[0].all_ports);
	assert_int_equal(c.pools.items[0].range.length, 121);
	assert_int_equal(c.networks.n, 1);
	assert_string_equal(c.networks.items[0].pattern, "mail_*");
	assert_int_equal(c.networks.items[0].mode, NET_MODE_NAT);
	assert_string_equal(text_of(&c.networks.items[0].snat), "2001:db8::5");
	assert_true(c.networks.items[0].has_prefix);
	assert_int_equal(c.networks.items[0].firewall, NET_FIREWALL_OPEN);
	assert_string_equal(c.networks.items[0].uplink, "eth1");
	assert_int_equal(c.networks.items[0].trusted.n, 2);
	assert_string_equal(c.metrics_listen, "[::1]:9469");
	config_done(&c);
}

/*
 * What the sample has commented out is the default, unless it is an example (a line "# Example" above
 * the key, or a section that is commented out): putting it in force changes nothing.
 */
static void test_sample(void **state)
{
	_cleanup_(fclosep) FILE *sample = fopen("contrib/ipv6nat.conf", "re");
	_cleanup_(freep) char *text = NULL;
	char line[256], above[256] = "";
	struct config c, defaults;
	bool example = false;
	size_t size = 0, n = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_non_null(sample);
	assert_non_null(f);
	for (; fgets(line, sizeof(line), sample); memcpy(above, line, sizeof(above))) {
		if (line[0] == '[' || strncmp(line, "#[", 2) == 0)
			example = line[0] == '#';
		if (line[0] == '[')
			fputs(line, f);
		if (line[0] != '#' || line[1] < 'A' || line[1] > 'Z' || example ||
		    strncmp(above, "# Example", 9) == 0)
			continue;
		fputs(line + 1, f);
		n++;
	}
	assert_int_equal(fclose(f), 0);
	assert_true(n > 0);

	memset(&c, 0, sizeof(c));
	memset(&defaults, 0, sizeof(defaults));
	config_init(&c);
	config_init(&defaults);
	parse_ok(text, &c);
	assert_memory_equal(&c, &defaults, sizeof(c));
	config_done(&c);
	config_done(&defaults);
}

/* Only keys that this version does not act on warn, and they name the place. */
static void test_warnings(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok("[Daemon]\nBackend=nftables\nOnStop=keep\nLogLevel=info\n[Docker]\nHost=\n"
		 "CertPath=\nResyncSec=300\n[Uplink]\nInterface=auto\n[Firewall]\n"
		 "Unpublished=drop\nForeignForward=report\nForwarding=ensure\n[Network x]\n"
		 "Mode=nat\nSnat=2001:db8::1\nFirewall=open\nUplink=e\nTrusted=w\n[NDP]\n"
		 "Answer=yes\nSource=target\nOverride=never\nAnnounce=yes\nRatePerSec=1\n"
		 "[Proxy e]\nPrefix=2001:db8::/64\n",
		 &c);
	assert_int_equal(c.warnings.n, 0);
	parse_ok("[Daemon]\nBackend=ip6tables\n[Firewall]\nForeignForward=jump\n[Pool p]\n"
		 "Ports=all\n[Network x]\nPrefix=uplink\n[Metrics]\nListen=127.0.0.1:1\n",
		 &c);
	assert_int_equal(c.warnings.n, 4);
	assert_string_equal(c.warnings.items[0].text,
			    "f.conf:2: Backend=ip6tables is without effect yet");
	assert_string_equal(c.warnings.items[2].text,
			    "f.conf:6: Ports= in [Pool p] has no effect yet");
	assert_string_equal(c.warnings.items[3].text,
			    "f.conf:8: Prefix= in [Network x] has no effect yet");
	config_done(&c);
}

/* Comments, white space, CRLF and a byte order mark do not disturb; values keep their ';'. */
static void test_layout(void **state)
{
	char text[4096];
	struct config c;

	(void)state;
	config_init(&c);
	snprintf(text, sizeof(text),
		 "\xef\xbb\xbf# first\r\n ; indented %0*d\r\n[Daemon]   # why\r\n"
		 "  OnStop = remove\t; because\r\n   LogLevel=debug\r\n\r\n[ Docker ]\n"
		 "\tHost=unix:///a#b;c\n[Network x[0-9]]\nMode=off#\nMode=nat #x\n[Network\ty z]",
		 600, 0);
	/* "off#" is no mode: a comment needs white space before it */
	expect_error(text, "f.conf:10: Mode=off#: expected auto, nat");
	*strstr(text, "Mode=off#") = '#';
	parse_ok(text, &c);
	assert_int_equal(c.on_stop, CONFIG_ON_STOP_REMOVE);
	assert_int_equal(c.log_level, LOG_DEBUG);
	assert_string_equal(c.docker_host, "unix:///a#b;c");
	assert_int_equal(c.networks.n, 2);
	assert_string_equal(c.networks.items[0].pattern, "x[0-9]");
	assert_int_equal(c.networks.items[0].mode, NET_MODE_NAT);
	assert_string_equal(c.networks.items[1].pattern, "y z");
	config_done(&c);

	config_init(&c);
	parse_ok("", &c);
	parse_ok("\n\n#x", &c);
	parse_ok("\xef\xbb\xbf[Daemon]\nOnStop=remove", &c);
	assert_int_equal(c.on_stop, CONFIG_ON_STOP_REMOVE);
	config_done(&c);
}

/* libinih cuts section names at 50 bytes; Docker's names are longer than that. */
static void test_long_names(void **state)
{
	char name[181], text[512];
	struct config c;

	(void)state;
	config_init(&c);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), "[Network %s]\nMode=off\n[Network %.100s]\nMode=nat\n", name,
		 name);
	parse_ok(text, &c);
	assert_int_equal(c.networks.n, 2);
	assert_string_equal(c.networks.items[0].pattern, name);
	assert_int_equal(c.networks.items[0].mode, NET_MODE_OFF);
	assert_int_equal(strlen(c.networks.items[1].pattern), 100);
	config_done(&c);
}

/* The limit is exact: 198 bytes are read whole, 199 are refused, never cut. */
static void test_line_length(void **state)
{
	char text[600];
	struct config c;

	(void)state;
	for (int n = 180; n < 420; n++) {
		snprintf(text, sizeof(text), "[Docker]\n  CertPath=/%0*d   # comment\n", n - 10, 0);
		if (n > 198) {
			expect_error(text, "f.conf:2: the line is longer than 198 bytes");
			continue;
		}
		config_init(&c);
		parse_ok(text, &c);
		assert_int_equal(strlen(c.docker_cert_path), n - 9);
		config_done(&c);
	}
}

/* Later scalars win, lists add up without doubles, an empty value goes back to the default. */
static void test_repetition(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok(
		"[Docker]\nResyncSec=5\nHost=tcp://a:1\n[Uplink]\nInterface=a b a\n"
		"[Docker]\nResyncSec=6\nHost=\n[Uplink]\nInterface=c\n[Proxy e]\nPrefix=fd00::/8\n",
		&c);
	assert_int_equal(c.resync_s, 6);
	assert_null(c.docker_host);
	assert_int_equal(c.uplinks.n, 3);
	parse_ok(
		"[Docker]\nResyncSec=\n[Uplink]\nInterface=auto\n[Proxy e]\nPrefix=fd00::/9 fd00::/8",
		&c);
	assert_int_equal(c.resync_s, 300);
	assert_int_equal(c.uplinks.n, 0);
	assert_int_equal(c.proxies.n, 1);
	assert_int_equal(c.proxies.items[0].prefixes.n, 2);
	parse_ok("[Uplink]\nInterface=q\n[Uplink]\nInterface=\nInterface=r", &c);
	assert_int_equal(c.uplinks.n, 1);
	assert_string_equal(c.uplinks.items[0].text, "r");
	config_done(&c);
}

/* Sections of one [Network NAME] are one; a key counts where it stands last. */
static void test_network_order(void **state)
{
	struct config c;

	(void)state;
	config_init(&c);
	parse_ok("[Network a*]\nMode=nat\nFirewall=open\nTrusted=wg0\nUplink=e\n"
		 "[Network ab]\nMode=off\n",
		 &c);
	parse_ok("[Network a*]\nMode=auto\nTrusted=wg1\nUplink=\n", &c);
	assert_int_equal(c.networks.n, 3);
	assert_int_equal(c.networks.items[0].mode, NET_MODE_AUTO);
	assert_int_equal(c.networks.items[0].firewall, NET_FIREWALL_OPEN);
	assert_int_equal(c.networks.items[0].trusted.n, 0);
	assert_null(c.networks.items[0].uplink);
	assert_int_equal(c.networks.items[1].mode, NET_MODE_OFF);
	assert_int_equal(c.networks.items[2].trusted.n, 2);
	assert_string_equal(c.networks.items[2].trusted.items[0].text, "wg0");
	config_done(&c);
}

/* Each error names file, line, and what would have been right. */
static void test_errors(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "\n[Foo]\n", "f.conf:2: unknown section [Foo]" },
		{ "[daemon]\n", "f.conf:1: unknown section [daemon]" },
		{ "[]\n", "f.conf:1: unknown section []" },
		{ "[\n", "f.conf:1: section header without ]" },
		{ "[Daemon] x\n", "f.conf:1: section header without ] at its end" },
		{ "[Daemon x]\n", "f.conf:1: section [Daemon] takes no name, but has \"x\"" },
		{ "[Network]\n", "f.conf:1: section [Network]: expected [Network NAME]" },
		{ "[Proxy e/0]\n", "f.conf:1: section [Proxy e/0]: expected [Proxy INTERFACE]" },
		{ "[Pool a b]\n", "f.conf:1: section [Pool a b]: expected [Pool NAME]" },
		{ "Mode=nat\n", "f.conf:1: Mode= stands before the first [SECTION]" },
		{ "[Daemon]\nfoo\n", "f.conf:2: expected KEY=VALUE or [SECTION]" },
		{ "[Daemon]\nOnStop:keep\n", "f.conf:2: expected KEY=VALUE" },
		{ "[Daemon]\n=keep\n", "f.conf:2: expected KEY=VALUE" },
		{ "[Daemon]\nOnStop=keep\n  and more\n", "f.conf:3: expected KEY=VALUE" },
		{ "[Daemon]\nMode=nat\n", "f.conf:2: unknown key Mode in [Daemon]" },
		{ "[Network x]\nmode=nat\n",
		  "f.conf:2: unknown key mode in [Network x], keys are case-sensitive: Mode" },
		{ "[Daemon]\n\nOnStop=x\n\n", "f.conf:3: OnStop=x: expected keep or remove" },
		{ "[Daemon]\nOnStop=Keep", "f.conf:2: OnStop=Keep: expected" },
		{ "[Daemon]\nLogLevel=loud", "f.conf:2: LogLevel=loud: expected" },
		{ "[Docker]\nHost=/var/run", "f.conf:2: Host=/var/run: expected unix:///PATH" },
		{ "[Docker]\nHost=http://", "f.conf:2: Host=" },
		{ "[Docker]\nHost=tcp://", "f.conf:2: Host=tcp://: expected" },
		{ "[Docker]\nHost=tcp://h:1/path", "f.conf:2: Host=tcp://h:1/path: expected" },
		{ "[Docker]\nHost=tcp://me@h:1", "f.conf:2: Host=tcp://me@h:1: expected" },
		{ "[Docker]\nHost=https://a b", "f.conf:2: Host=https://a b: expected" },
		{ "[Docker]\nCertPath=x", "f.conf:2: CertPath=x: expected an absolute path" },
		{ "[Docker]\nResyncSec=0", "f.conf:2: ResyncSec=0: expected a number of" },
		{ "[Docker]\nResyncSec=-1", "f.conf:2: ResyncSec" },
		{ "[Docker]\nResyncSec=99999999999999999999999", "f.conf:2: ResyncSec" },
		{ "[Uplink]\nInterface=sixteencharacter", "f.conf:2: Interface=sixteencharacter" },
		{ "[Uplink]\nInterface=a/b", "f.conf:2: Interface=a/b" },
		{ "[NDP]\nAnswer=maybe", "f.conf:2: Answer=maybe: expected yes or no" },
		{ "[NDP]\nSource=::", "f.conf:2: Source=::" },
		{ "[Network x]\nSnat=ff02::1", "f.conf:2: Snat=ff02::1: expected an IPv6 address" },
		{ "[Network x]\nSnat=192.0.2.1", "f.conf:2: Snat" },
		{ "[Network x]\nPrefix=2001:db8::", "f.conf:2: Prefix" },
		{ "[Pool x]\nRange=2001:db8::/129", "f.conf:2: Range" },
		{ "[Metrics]\nListen=9469", "f.conf:2: Listen" },
		{ "[Metrics]\nListen=[::1]:0", "f.conf:2: Listen" },
		{ "[Metrics]\nListen=::1:9469", "f.conf:2: Listen" },
		{ "[Daemon]\nOn\x01Stop=keep", "f.conf:2: control character 0x01" },
		{ "[Daemon]\nOnStop=\rkeep", "f.conf:2: control character 0x0d within" },
		{ "\xff\xfe[", "f.conf:1: expected KEY=VALUE" },
		{ "\xef\xbb[Daemon]", "f.conf:1: this is not a text file" },
	};
	static const char nul[] = "[Daemon]\nOnStop=keep\0\n[Nonsense]\n";

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		expect_error(cases[i].text, cases[i].error);
	expect_error_bytes(nul, sizeof(nul) - 1, "f.conf:2: control character 0x00");
}

/* What cannot be connected to is found before it is in force: a path of 107 bytes can, 108 cannot. */
static void test_docker_path(void **state)
{
	char text[256];
	struct config c;

	(void)state;
	config_init(&c);
	snprintf(text, sizeof(text), "[Docker]\nHost=unix:///%0*d", 106, 0);
	parse_ok(text, &c);
	config_done(&c);
	snprintf(text, sizeof(text), "[Docker]\nHost=unix:///%0*d", 107, 0);
	expect_error(text, "f.conf:2: Host=unix:///000");
}

/* A directory can be opened, but not read: an errno, not an empty configuration. */
static void test_read_error(void **state)
{
	_cleanup_(fclosep) FILE *f = fopen("/", "r");
	_cleanup_(freep) char *error = NULL;
	struct config c;

	(void)state;
	config_init(&c);
	assert_non_null(f);
	assert_int_equal(conf_ini_parse(f, "/", &c, &error), -EISDIR);
	assert_null(error);
	config_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys),    cmocka_unit_test(test_sample),
		cmocka_unit_test(test_warnings),    cmocka_unit_test(test_layout),
		cmocka_unit_test(test_long_names),  cmocka_unit_test(test_line_length),
		cmocka_unit_test(test_repetition),  cmocka_unit_test(test_network_order),
		cmocka_unit_test(test_errors),      cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_docker_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
