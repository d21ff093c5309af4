/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recorded answers of four engines become the facts expected; what is malformed is refused. */
#include "base/own.h"
#include "unit/cmocka.h"
#include "wire/docker-json.h"

#include <errno.h>
#include <stdio.h>

static const char *const engines[] = { "20.10.24", "28.5.2", "29.7.2", "29.7.2-nftables" };
static const char *why;

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char *slurp(const char *engine, const char *name, size_t *ret_length)
{
	static char buffer[1 << 20];
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "tests/data/engines/%s/%s", engine, name);
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s is missing (run from the top of the source tree)", path);
	*ret_length = fread(buffer, 1, sizeof(buffer), f);
	fclose(f);
	return buffer;
}

static struct network network(const char *engine, const char *name)
{
	struct network n;
	char file[64];
	size_t length;

	snprintf(file, sizeof(file), "network-%s.json", name);
	const char *text = slurp(engine, file, &length);
	assert_int_equal(docker_json_network(text, length, &n, &why), 0);
	assert_string_equal(n.name, name);
	return n;
}

static struct container container(const char *engine, const char *name)
{
	struct container c;
	char file[64];
	size_t length;

	snprintf(file, sizeof(file), "container-%s.json", name);
	const char *text = slurp(engine, file, &length);
	assert_int_equal(docker_json_container(text, length, &c, &why), 0);
	assert_string_equal(c.name, name);
	assert_true(c.inspected);
	return c;
}

static void assert_address(const struct in6_addr *a, const char *text)
{
	char buffer[INET_ADDR_TEXT];

	assert_string_equal(inet_format(a, buffer), text);
}

/* One line per binding, in the order the decoder gives them. */
static const char *bindings(const struct port_bindings *b)
{
	static char buffer[4096];
	char *p = buffer, address[INET_ADDR_TEXT];

	*p = '\0';
	vec_foreach (x, b) {
		const char *ip = x->host_ip_kind == HOST_IP_V6   ? inet_format(&x->host_ip, address)
				 : x->host_ip_kind == HOST_IP_V4 ? "v4"
				 : x->host_ip_kind == HOST_IP_EMPTY ? "empty"
								    : "-";
		p += sprintf(p, "%s%s/%u>%u/%s", p == buffer ? "" : " ", ip, x->host_port,
			     x->container_port, inet_protocol_name(x->protocol));
	}
	return buffer;
}

/* Property: every engine's list and inspect of a container are the same facts, but for what only
 * the inspect has, and in the order of the decoder rather than the engine's. */
static void test_lists_agree_with_inspects(void **state)
{
	static const char *const names[] = { "plain",  "web",    "multi",  "hosted", "sidecar",
					     "legacy", "hidden", "global", "loner",  "direct" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		struct containers list;
		unsigned skipped;
		size_t length, n = engines[i][0] == '2' && engines[i][1] == '0' ? 9 : 10;
		const char *text = slurp(engines[i], "containers.json", &length);

		assert_int_equal(docker_json_containers(text, length, &list, &skipped, &why), 0);
		assert_int_equal(skipped, 0);
		assert_int_equal(list.n, n);
		for (size_t k = 0; k < n; k++) {
			struct container c = container(engines[i], names[k]);
			struct container *l = vec_find(&list, &c, container_compare);

			assert_non_null(l);
			assert_string_equal(l->name, c.name);
			assert_int_equal(l->state, c.state);
			assert_int_equal(l->network_mode, c.network_mode);
			assert_int_equal(l->labels.n, c.labels.n);
			assert_int_equal(l->endpoints.n, c.endpoints.n);
			for (size_t e = 0; e < c.endpoints.n; e++) {
				struct endpoint *x = &l->endpoints.items[e],
						*y = &c.endpoints.items[e];

				assert_string_equal(x->network_name, y->network_name);
				assert_string_equal(x->network_id, y->network_id);
				assert_true(inet_equal(&x->address, &y->address));
				assert_int_equal(x->has_gateway6, y->has_gateway6);
			}
			assert_false(l->inspected);
			assert_int_equal(l->started_us, 0);
			assert_int_equal(l->requested.n, 0);
			assert_true(c.started_us > 1700000000ULL * 1000000);
			container_done(&c);
		}
		containers_done(&list);
	}
}

#define WEB_PORTS                                                                                  \
	"v4/8080>80/tcp ::/8080>80/tcp v4/8081>81/tcp ::1/8082>82/tcp 2001:db8:1::16/8083>83/tcp " \
	"-/0>99/tcp v4/9000>9000/tcp ::/9000>9000/tcp v4/9001>9001/tcp ::/9001>9001/tcp "          \
	"v4/9002>9002/tcp ::/9002>9002/tcp v4/53>53/udp ::/53>53/udp"

/* Property: bindings of every kind, as bound, as listed and as asked for. */
static void test_ports(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		struct container c = container(engines[i], "web"), key = { .id = c.id };
		struct containers list;
		unsigned skipped;
		size_t length;

		assert_string_equal(bindings(&c.ports), WEB_PORTS);
		assert_string_equal(bindings(&c.requested),
				    "empty/8080>80/tcp v4/8081>81/tcp ::1/8082>82/tcp "
				    "2001:db8:1::16/8083>83/tcp empty/9000>9000/tcp "
				    "empty/9001>9001/tcp empty/9002>9002/tcp empty/53>53/udp");
		assert_string_equal(key_values_get(&c.labels, "ipv6nat.address"), "2001:db8:1::80");
		assert_int_equal(c.network_mode, NETWORK_MODE_OWN);
		const char *text = slurp(engines[i], "containers.json", &length);
		assert_int_equal(docker_json_containers(text, length, &list, &skipped, &why), 0);
		assert_string_equal(bindings(&vec_find(&list, &key, container_compare)->ports),
				    WEB_PORTS);
		containers_done(&list);
		container_done(&c);

		c = container(engines[i], "multi");
		assert_string_equal(bindings(&c.ports), "v4/8101>80/tcp ::/8101>80/tcp");
		assert_string_equal(bindings(&c.requested), "empty/0>80/tcp"); /* 8100-8110 */
		assert_int_equal(c.endpoints.n, 2);
		assert_string_equal(c.endpoints.items[0].network_name, "gua");
		assert_address(&c.endpoints.items[0].address, "2001:db8:1:0:d0::2");
		assert_string_equal(c.endpoints.items[1].network_name, "ula");
		assert_address(&c.endpoints.items[1].address, "fd00:6::3");
		assert_true(c.endpoints.items[1].has_gateway4 && c.endpoints.items[1].has_gateway6);
		container_done(&c);
	}
	/* Routed: a side without a host port; engine 29 has it in the inspect alone. */
	struct container c = container("29.7.2", "direct");
	assert_string_equal(bindings(&c.ports), "v4/80>80/tcp ::/0>80/tcp");
	container_done(&c);
}

/* Property: containers without a network namespace of their own are told apart. */
static void test_network_modes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		struct container hosted = container(engines[i], "hosted");
		struct container sidecar = container(engines[i], "sidecar");
		struct container plain = container(engines[i], "plain");

		assert_int_equal(hosted.network_mode, NETWORK_MODE_HOST);
		assert_int_equal(sidecar.network_mode, NETWORK_MODE_CONTAINER);
		assert_int_equal(sidecar.endpoints.n, 0);
		assert_int_equal(plain.network_mode, NETWORK_MODE_OWN);
		assert_int_equal(plain.state, CONTAINER_PAUSED);
		container_done(&hosted);
		container_done(&sidecar);
		container_done(&plain);
	}
}

/* Property: only an engine that says so has a network without IPv4. */
static void test_ipv6_only(void **state)
{
	static const struct {
		const char *text;
		bool expected;
	} cases[] = {
		{ "{\"Id\":\"" ID64 "\",\"EnableIPv4\":false}", true },
		{ "{\"Id\":\"" ID64 "\",\"EnableIPv4\":true}", false },
		{ "{\"Id\":\"" ID64 "\",\"EnableIPv4\":null}", false },
		{ "{\"Id\":\"" ID64 "\"}", false },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct network n = {};

		assert_int_equal(
			docker_json_network(cases[i].text, strlen(cases[i].text), &n, &why), 0);
		assert_int_equal(n.ipv6_only, cases[i].expected);
		network_done(&n);
	}
}

/* Property: networks, their subnets, options and members; engine 29 counts free addresses beyond
 * 63 bits and leaves out what is empty. */
static void test_networks(void **state)
{
	char buffer[INET_PREFIX_TEXT];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		struct network n = network(engines[i], "ula");
		struct networks list;
		unsigned skipped;
		size_t length;

		assert_true(n.ipv6 && n.members_known && !n.internal && !n.config_only);
		assert_string_equal(n.driver, "bridge");
		assert_int_equal(n.subnets.n, 1);
		assert_string_equal(inet_prefix_format(&n.subnets.items[0].prefix, buffer),
				    "fd00:6::/64");
		assert_address(&n.subnets.items[0].gateway,
			       engines[i][1] == '9' ? "fd00:6::1" : "::");
		assert_int_equal(n.members.n, 2);
		network_done(&n);

		n = network(engines[i], "gua");
		assert_string_equal(key_values_get(&n.labels, "ipv6nat.mode"), "proxy");
		network_done(&n);
		n = network(engines[i], "inner");
		assert_true(n.internal);
		network_done(&n);
		n = network(engines[i], "v4only");
		assert_false(n.ipv6);
		assert_int_equal(n.subnets.n, 0);
		network_done(&n);
		n = network(engines[i], "noicc");
		assert_string_equal(key_values_get(&n.options, "com.docker.network.bridge.name"),
				    "br-noicc");
		assert_string_equal(
			key_values_get(&n.options, "com.docker.network.bridge.enable_icc"),
			"false");
		network_done(&n);

		const char *text = slurp(engines[i], "networks.json", &length);
		assert_int_equal(docker_json_networks(text, length, &list, &skipped, &why), 0);
		assert_int_equal(skipped, 0);
		assert_int_equal(list.n, engines[i][1] == '0' ? 8 : 9);
		vec_foreach (item, &list)
			assert_false(item->members_known);
		networks_done(&list);
	}
}

/* Property: versions of every kind become numbers that can be compared. */
static void test_version_and_info(void **state)
{
	static const struct {
		const char *text;
		unsigned v[3];
	} versions[] = {
		{ "{\"Version\":\"20.10.24+dfsg1\"}", { 20, 10, 24 } },
		{ "{\"Version\":\"19.03.15\"}", { 19, 3, 15 } },
		{ "{\"Version\":\"27.0.0-rc.1\"}", { 27, 0, 0 } },
		{ "{\"Version\":\"29\"}", { 29, 0, 0 } },
		{ "{\"Version\":\"dev\",\"ApiVersion\":\"1.56\"}", { 29, 0, 0 } },
		{ "{\"Version\":\"library-import\",\"ApiVersion\":\"1.41\"}", { 20, 0, 0 } },
	};
	struct engine e = {};
	size_t length;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(versions); i++) {
		assert_int_equal(
			docker_json_version(versions[i].text, strlen(versions[i].text), &e, &why),
			0);
		assert_int_equal(e.version_major, versions[i].v[0]);
		assert_int_equal(e.version_minor, versions[i].v[1]);
		assert_int_equal(e.version_patch, versions[i].v[2]);
	}
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		const char *text = slurp(engines[i], "version.json", &length);
		assert_int_equal(docker_json_version(text, length, &e, &why), 0);
		assert_int_equal(e.version_major, atoi(engines[i]));
		text = slurp(engines[i], "info.json", &length);
		assert_int_equal(docker_json_info(text, length, &e, &why), 0);
		assert_false(e.experimental || e.rootless);
	}
	static const char info[] = "{\"ExperimentalBuild\":true,\"SecurityOptions\":"
				   "[\"name=seccomp,profile=default\",\"name=rootless\"]}";
	assert_int_equal(docker_json_info(info, strlen(info), &e, &why), 0);
	assert_true(e.experimental && e.rootless);
	assert_int_equal(docker_json_version("{}", 2, &e, &why), -EBADMSG);
	engine_done(&e);
}

/* Property: every recorded event can be read, with the ids it names. */
static void test_events(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(engines); i++) {
		unsigned n_connects = 0, n_starts = 0, n = 0;
		size_t length;
		char *text = slurp(engines[i], "events.jsonl", &length);

		for (char *line = text, *end; line < text + length; line = end + 1) {
			struct docker_event e;

			end = memchr(line, '\n', (size_t)(text + length - line));
			if (!end)
				break;
			assert_int_equal(docker_json_event(line, (size_t)(end - line), &e, &why),
					 0);
			assert_true(e.time_ns > 1000000000000000000ULL);
			if (e.type == DOCKER_EVENT_NETWORK && strcmp(e.action, "connect") == 0)
				n_connects += strlen(e.id) == 64 && strlen(e.container) == 64;
			n_starts += e.type == DOCKER_EVENT_CONTAINER &&
				    !strcmp(e.action, "start") && strlen(e.id) == 64;
			n++;
		}
		assert_true(n > 90 && n_connects >= 9 && n_starts >= 9);
	}
	struct docker_event e;
	static const char prune[] =
		"{\"Type\":\"network\",\"Action\":\"prune\",\"Actor\":{\"ID\":\"\"}}";
	assert_int_equal(docker_json_event(prune, strlen(prune), &e, &why), 0);
	assert_string_equal(e.id, "");
}

/* A container whose JSON holds part in the place of the one "%s". */
static int one_container(const char *frame, const char *part, struct container *ret)
{
	_cleanup_(freep) char *text = NULL;
	const char *place = strstr(frame, "%s");

	assert_true(asprintf(&text, "%.*s%s%s", (int)(place - frame), frame, part, place + 2) > 0);
	return docker_json_container(text, strlen(text), ret, &why);
}

#define INSPECT                                                                                   \
	"{\"Id\":\"" ID64 "\",\"Name\":\"/c\",\"State\":{\"Status\":\"running\"},\"HostConfig\":" \
	"{\"PortBindings\":%s}}"

/* Property: HostIp and HostPort as clients write them (facts: sections 5 and 6). */
static void test_host_ip_table(void **state)
{
	static const struct {
		const char *json, *expected;
	} table[] = {
		{ "null", "" },
		{ "{}", "" },
		{ "{\"80/tcp\":null}", "-/0>80/tcp" },
		{ "{\"80/tcp\":[]}", "-/0>80/tcp" },
		{ "{\"80/tcp\":[{}]}", "empty/0>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}]}", "empty/0>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"1\"}]}", "v4/1>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"1\"}]}", "::/1>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"[::1]\",\"HostPort\":\"1\"}]}", "::1/1>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"2001:DB8::1\",\"HostPort\":\"1\"}]}",
		  "2001:db8::1/1>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"::ffff:192.0.2.1\",\"HostPort\":\"1\"}]}",
		  "v4/1>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"9000-9005\"}]}", "::/0>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"9000-9000\"}]}",
		  "::/9000>80/tcp" },
		{ "{\"80/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"0\"}]}", "::/0>80/tcp" },
		{ "{\"80\":[{\"HostPort\":\"1\"}]}", "empty/1>80/tcp" },
		{ "{\"80/UDP\":[{\"HostPort\":\"1\"}]}", "empty/1>80/udp" },
		{ "{\"80/sctp\":[{\"HostPort\":\"1\"}]}", "empty/1>80/sctp" },
		/* the same twice is once */
		{ "{\"80/tcp\":[{\"HostPort\":\"1\"},{\"HostPort\":\"1\"}]}", "empty/1>80/tcp" },
		/* ignored: other protocols, and what no engine accepts */
		{ "{\"80/icmp\":[{\"HostPort\":\"1\"}]}", "" },
		{ "{\"0/tcp\":[{\"HostPort\":\"1\"}],\"90-91/tcp\":null,\"x/tcp\":null}", "" },
		{ "{\"80/tcp\":[{\"HostIp\":\"fe80::1%eth0\",\"HostPort\":\"1\"}]}", "" },
		{ "{\"80/tcp\":[{\"HostIp\":\"host\",\"HostPort\":\"1\"}]}", "" },
		{ "{\"80/tcp\":[{\"HostPort\":\"65536\"},{\"HostPort\":\"-1\"},{\"HostPort\":\"9-8\"},"
		  "{\"HostPort\":\"1-\"},{\"HostPort\":\"123456-123457\"}]}",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct container c;

		assert_int_equal(one_container(INSPECT, table[i].json, &c), 0);
		assert_string_equal(bindings(&c.requested), table[i].expected);
		container_done(&c);
	}
}

#define LISTED                                                                                         \
	"{\"Id\":\"" ID64                                                                              \
	"\",\"Names\":[\"/other/c\",\"/c\"],\"State\":\"%s\",\"NetworkSettings\":"                     \
	"{\"Networks\":{\"n\":{\"NetworkID\":\"" ID64 "\",\"GlobalIPv6Address\":\"fd00::2\","          \
	"\"IPv6Gateway\":\"fd00::1\",\"GwPriority\":-3}}},\"Ports\":[{\"IP\":\"\",\"PrivatePort\":81," \
	"\"Type\":\"tcp\"},{\"IP\":\"::\",\"PrivatePort\":80,\"PublicPort\":8080,\"Type\":\"tcp\"}]}"

/* Property: the list's leftovers of a failed start are no facts; of names the own one counts. */
static void test_listed(void **state)
{
	struct container c;

	(void)state;
	assert_int_equal(one_container(LISTED, "running", &c), 0);
	assert_string_equal(c.name, "c");
	assert_string_equal(bindings(&c.ports), "::/8080>80/tcp -/0>81/tcp");
	assert_int_equal(c.endpoints.items[0].gateway_priority, -3);
	assert_true(c.endpoints.items[0].has_gateway6 && !c.endpoints.items[0].has_gateway4);
	container_done(&c);
	assert_int_equal(one_container(LISTED, "created", &c), 0);
	assert_int_equal(c.ports.n, 0);
	assert_address(&c.endpoints.items[0].address, "::");
	assert_false(c.endpoints.items[0].has_gateway6);
	container_done(&c);
	assert_int_equal(one_container(LISTED, "dancing", &c), -EBADMSG);
}

/* Property: times in any zone; never started is 0. */
static void test_started(void **state)
{
	static const char frame[] =
		"{\"Id\":\"" ID64 "\",\"State\":{\"Status\":\"exited\",\"StartedAt\":"
		"\"%s\"}}";
	static const struct {
		const char *text;
		uint64_t us;
	} table[] = {
		{ "1970-01-01T00:00:01Z", 1000000 },
		{ "2026-11-21T03:29:55.876521638Z", 1795231795876521 },
		{ "2026-11-21T05:29:55.5+02:00", 1795231795500000 },
		{ "2026-11-20T22:29:55-05:00", 1795231795000000 },
		{ "0001-01-01T00:00:00Z", 0 },
		{ "", 0 },
		{ "yesterday", 0 },
		{ "2026-11-21T05:29:55", 0 },
		{ "2026-11-21T05:29:55 02:00", 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct container c;

		assert_int_equal(one_container(frame, table[i].text, &c), 0);
		assert_int_equal(c.started_us, table[i].us);
		container_done(&c);
	}
}

/* Property: what the API does not promise is refused, as a whole and without a trace. */
static void test_malformed(void **state)
{
	static const char *const containers[] = {
		"",
		"{",
		"[]",
		"null",
		"7",
		"<html></html>",
		"{}",
		"{\"Id\":7}",
		"{\"Id\":\"\"}",
		"{\"Id\":\"abc\",\"State\":\"running\"}",
		"{\"Id\":\"../../../../../../../../../../../../../../../../../../../../../x\"}",
		"{\"Id\":\"" ID64 "0\",\"State\":\"running\"}",
		"{\"Id\":\"" ID64 "\"}",
		"{\"Id\":\"" ID64 "\",\"State\":{}}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"Labels\":[]}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"Labels\":{\"ipv6nat.x\":1}}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"Ports\":{}}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"Ports\":[7]}",
		"{\"Id\":\"" ID64
		"\",\"State\":\"running\",\"Ports\":[{\"Type\":\"tcp\",\"PrivatePort\":1e5}]}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"NetworkSettings\":{\"Networks\":[]}}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"NetworkSettings\":{\"Networks\":"
		"{\"n\":{\"NetworkID\":\"../x\"}}}}",
		"{\"Id\":\"" ID64 "\",\"State\":\"running\",\"NetworkSettings\":{\"Networks\":"
		"{\"n\":{\"GlobalIPv6Address\":\"fd00::x\"}}}}",
		"{\"Id\":\"" ID64
		"\",\"State\":{\"Status\":\"running\"},\"NetworkSettings\":{\"Ports\":[]}}",
		"{\"Id\":\"" ID64
		"\",\"State\":{\"Status\":\"running\"},\"NetworkSettings\":{\"Ports\":"
		"{\"80/tcp\":\"\"}}}",
	};
	static const char *const networks[] = {
		"[]",
		"{}",
		"{\"Id\":\"x\"}",
		"{\"Id\":\"" ID64 "/\"}",
		"{\"Id\":\"" ID64 "\",\"EnableIPv6\":\"yes\"}",
		"{\"Id\":\"" ID64 "\",\"IPAM\":{\"Config\":{}}}",
		"{\"Id\":\"" ID64 "\",\"IPAM\":{\"Config\":[{\"Subnet\":\"fd00::/129\"}]}}",
		"{\"Id\":\"" ID64 "\",\"Options\":7}",
		"{\"Id\":\"" ID64 "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"a/b\"}}",
		"{\"Id\":\"" ID64 "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"br\\\" accept\"}}",
		"{\"Id\":\"" ID64 "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"sixteen-bytes-xx\"}}",
		"{\"Id\":\"" ID64 "\",\"Containers\":[]}",
		"{\"Id\":\"" ID64 "\",\"Containers\":{\"x\":{\"IPv6Address\":\"::g/64\"}}}",
	};
	static const char *const events[] = {
		"",
		"x",
		"[]",
		"{\"Type\":\"container\"}",
		"{\"Type\":\"container\",\"Actor\":{\"ID\":\"x\"}}",
		"{\"Type\":\"network\",\"Actor\":{\"ID\":\"../x\"}}",
	};
	struct container c = { .name = (char *)"untouched" };
	struct network n = { .name = (char *)"untouched" };
	struct docker_event e = { .action = "untouched" };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(containers); i++)
		assert_int_equal(
			docker_json_container(containers[i], strlen(containers[i]), &c, &why),
			-EBADMSG);
	for (size_t i = 0; i < N_ELEMENTS(networks); i++)
		assert_int_equal(docker_json_network(networks[i], strlen(networks[i]), &n, &why),
				 -EBADMSG);
	for (size_t i = 0; i < N_ELEMENTS(events); i++)
		assert_int_equal(docker_json_event(events[i], strlen(events[i]), &e, &why),
				 -EBADMSG);
	assert_string_equal(c.name, "untouched");
	assert_string_equal(n.name, "untouched");
	assert_string_equal(e.action, "untouched");
}

/* Property: one bad object in a list is skipped and counted, the rest goes on. */
static void test_skipped(void **state)
{
	static const char list[] =
		"[{\"Id\":\"bad\"},{\"Id\":\"" ID64 "\",\"State\":\"running\"},7]";
	struct containers c;
	unsigned skipped;

	(void)state;
	assert_int_equal(docker_json_containers(list, strlen(list), &c, &skipped, &why), 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(skipped, 2);
	containers_done(&c);
}

/* Property: beyond the bounds is -E2BIG with the reason, before anything recurses or grows. */
static void test_bounds(void **state)
{
	size_t size = 200000, length;
	char *text = malloc(DOCKER_ANSWER_MAX + 2);
	struct container c;
	struct containers list;
	unsigned skipped;

	(void)state;
	assert_non_null(text);
	memset(text, '[', size);
	assert_int_equal(docker_json_container(text, size, &c, &why), -E2BIG);
	assert_string_equal(why, "nested too deeply");
	/* brackets in strings are no nesting */
	length = (size_t)sprintf(text, "{\"Id\":\"" ID64 "\",\"State\":\"exited\",\"x\":\"\\\"");
	memset(text + length, '[', 1000);
	strcpy(text + length + 1000, "\"}");
	assert_int_equal(docker_json_container(text, strlen(text), &c, &why), 0);
	container_done(&c);

	length = (size_t)sprintf(text, "{\"Id\":\"" ID64 "\",\"State\":\"exited\","
				       "\"Labels\":{\"ipv6nat.a\":\"");
	memset(text + length, 'a', DOCKER_TEXT_MAX + 1);
	strcpy(text + length + DOCKER_TEXT_MAX + 1, "\"}}");
	assert_int_equal(docker_json_container(text, strlen(text), &c, &why), -E2BIG);
	/* somebody else's label may be as long as it likes */
	memcpy(strstr(text, "ipv6nat.a"), "xpv6nat.a", 9);
	assert_int_equal(docker_json_container(text, strlen(text), &c, &why), 0);
	assert_int_equal(c.labels.n, 0);
	container_done(&c);

	memset(text, ' ', DOCKER_ANSWER_MAX + 1);
	assert_int_equal(docker_json_container(text, DOCKER_ANSWER_MAX + 1, &c, &why), -E2BIG);
	for (size_t i = 0; i < DOCKER_ANSWER_MAX; i += 3)
		memcpy(text + i, "[],", 3);
	text[0] = '[';
	assert_int_equal(docker_json_containers(text, DOCKER_ANSWER_MAX, &list, &skipped, &why),
			 -E2BIG);
	assert_string_equal(why, "too many values");
	free(text);
}

/* Property: a NUL, a control character or an odd id of one object hides nobody else's. */
static void test_hostile_text(void **state)
{
	static const char list[] =
		"[{\"Id\":\"" ID64
		"\",\"State\":\"running\",\"Labels\":{\"a\\u0000b\":\"c\\u0000\","
		"\"ipv6nat.x\":\"\\u0000\\n\\u001b[2J\\\\u0000\"}}]";
	static const char swarm[] =
		"[{\"Id\":\"n0lnlbpt8zk0qhxkzkb6w4a2f\",\"Name\":\"ov\\n<3>x\","
		"\"Driver\":\"overlay\",\"Options\":{\"com.docker.network.bridge.name\":"
		"\"\"}}]";
	static const char error[] = "{\"message\":\"No\\nsuch container\"}";
	struct containers c;
	struct networks n;
	unsigned skipped;
	char message[8];

	(void)state;
	assert_int_equal(docker_json_containers(list, strlen(list), &c, &skipped, &why), 0);
	assert_int_equal(skipped, 0);
	assert_string_equal(c.items[0].labels.items[0].value, "???[2J\\u0000");
	containers_done(&c);
	assert_int_equal(docker_json_networks(swarm, strlen(swarm), &n, &skipped, &why), 0);
	assert_int_equal(skipped, 0);
	assert_string_equal(n.items[0].name, "ov?<3>x");
	assert_int_equal(n.items[0].options.n, 0);
	networks_done(&n);

	docker_json_error(error, strlen(error), message, sizeof(message));
	assert_string_equal(message, "No such");
	docker_json_error("<html>", 6, message, sizeof(message));
	assert_string_equal(message, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_agree_with_inspects),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_network_modes),
		cmocka_unit_test(test_ipv6_only),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_version_and_info),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_host_ip_table),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_hostile_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
