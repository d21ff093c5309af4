/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmocka.h"
#include "wire/sock-diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

struct message {
	struct nlmsghdr header;
	struct inet_diag_msg body;
};

static struct message sample(const char *local, int state)
{
	struct message m = {
		.header = { .nlmsg_len = sizeof(m), .nlmsg_type = SOCK_DIAG_BY_FAMILY },
		.body = { .idiag_family = AF_INET6, .idiag_state = (uint8_t)state },
	};

	m.body.id.idiag_sport = htons(8080);
	m.body.id.idiag_dport = htons(40000);
	assert_int_equal(inet_pton(AF_INET6, local, m.body.id.idiag_src), 1);
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::c", m.body.id.idiag_dst), 1);
	return m;
}

/* Both ends, in the order in which this host sees them, and whether the handshake is over. */
static void test_connection(void **state)
{
	struct message m = sample("2001:db8::1", TCP_ESTABLISHED);
	struct sock_diag_connection c;
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];

	(void)state;
	assert_int_equal(sock_diag_decode(&m.header, &c), 1);
	assert_string_equal(inet_ntop(AF_INET6, &c.local, local, sizeof(local)), "2001:db8::1");
	assert_string_equal(inet_ntop(AF_INET6, &c.remote, remote, sizeof(remote)), "2001:db8::c");
	assert_int_equal(c.local_port, 8080);
	assert_int_equal(c.remote_port, 40000);
	assert_true(c.established);
	m.body.idiag_state = TCP_SYN_RECV;
	assert_int_equal(sock_diag_decode(&m.header, &c), 1);
	assert_false(c.established);
}

/* Over IPv4, listening, at its end, a state that nobody knows: no connection of interest. */
static void test_of_no_interest(void **state)
{
	static const int states[] = { 0, TCP_TIME_WAIT, TCP_LISTEN, TCP_LAST_ACK, 200 };
	struct message m = sample("::ffff:192.0.2.1", TCP_ESTABLISHED);
	struct sock_diag_connection c;

	(void)state;
	assert_int_equal(sock_diag_decode(&m.header, &c), 0);
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		m = sample("2001:db8::1", states[i]);
		assert_int_equal(sock_diag_decode(&m.header, &c), 0);
	}
	m = sample("2001:db8::1", TCP_ESTABLISHED);
	m.body.idiag_family = AF_INET;
	assert_int_equal(sock_diag_decode(&m.header, &c), 0);
	m = sample("2001:db8::1", TCP_ESTABLISHED);
	m.header.nlmsg_type = NLMSG_DONE;
	assert_int_equal(sock_diag_decode(&m.header, &c), 0);
}

/* Every shorter message is refused; more than is known of is passed over. */
static void test_length(void **state)
{
	struct {
		struct message m;
		uint8_t more[64];
	} long_one = { .m = sample("2001:db8::1", TCP_ESTABLISHED) };
	struct sock_diag_connection c;

	(void)state;
	for (uint32_t n = sizeof(struct nlmsghdr); n < sizeof(struct message); n++) {
		long_one.m.header.nlmsg_len = n;
		assert_int_equal(sock_diag_decode(&long_one.m.header, &c), -EBADMSG);
	}
	long_one.m.header.nlmsg_len = sizeof(long_one);
	assert_int_equal(sock_diag_decode(&long_one.m.header, &c), 1);
}

/* The request is written into the room that there is, or not at all. */
static void test_request(void **state)
{
	uint8_t buffer[128];
	struct nlmsghdr *h = sock_diag_encode_dump(buffer, sizeof(buffer), 7);

	(void)state;
	assert_non_null(h);
	assert_int_equal(h->nlmsg_seq, 7);
	assert_int_equal(h->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	assert_null(sock_diag_encode_dump(buffer, h->nlmsg_len - 1, 7));
	assert_non_null(sock_diag_encode_dump(buffer, h->nlmsg_len, 7));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_of_no_interest),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests_name("sock-diag", tests, NULL, NULL);
}
