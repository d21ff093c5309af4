/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int inet_compare(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool inet_equal(const struct in6_addr *a, const struct in6_addr *b)
{
	return inet_compare(a, b) == 0;
}

bool inet_is_zero(const struct in6_addr *a)
{
	return IN6_IS_ADDR_UNSPECIFIED(a);
}

void inet_mask(struct in6_addr *a, uint8_t length)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = length > i * 8 ? length - i * 8 : 0;

		if (bits < 8)
			a->s6_addr[i] &= (uint8_t)(0xff00U >> bits);
	}
}

void inet_prefix_last(const struct inet_prefix *p, struct in6_addr *ret)
{
	struct in6_addr last = p->address;

	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = p->length > i * 8 ? p->length - i * 8 : 0;

		if (bits < 8)
			last.s6_addr[i] |= (uint8_t)(0xffU >> bits);
	}
	*ret = last;
}

bool inet_prefix_contains(const struct inet_prefix *p, const struct in6_addr *a)
{
	struct in6_addr masked = *a;

	inet_mask(&masked, p->length);
	return inet_equal(&masked, &p->address);
}

bool inet_prefix_overlaps(const struct inet_prefix *a, const struct inet_prefix *b)
{
	return a->length <= b->length ? inet_prefix_contains(a, &b->address)
				      : inet_prefix_contains(b, &a->address);
}

int inet_prefix_compare(const struct inet_prefix *a, const struct inet_prefix *b)
{
	int r = inet_compare(&a->address, &b->address);

	return r ? r : (int)a->length - (int)b->length;
}

bool inet_is_ula(const struct in6_addr *a)
{
	return (a->s6_addr[0] & 0xfe) == 0xfc;
}

bool inet_is_link_local(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LINKLOCAL(a);
}

bool inet_is_loopback(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a);
}

bool inet_is_multicast(const struct in6_addr *a)
{
	return IN6_IS_ADDR_MULTICAST(a);
}

int inet_parse(const char *text, struct in6_addr *ret)
{
	struct in6_addr a;

	/* glibc's inet_pton() takes neither zones nor brackets nor space. */
	if (inet_pton(AF_INET6, text, &a) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

int inet_prefix_parse(const char *text, struct inet_prefix *ret)
{
	char address[INET_ADDR_TEXT];
	const char *slash = strchr(text, '/');
	struct inet_prefix p;
	uint16_t length;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_parse(address, &p.address) < 0 || inet_port_parse(slash + 1, &length) < 0 ||
	    length > 128)
		return -EINVAL;
	p.length = (uint8_t)length;
	inet_mask(&p.address, p.length);
	*ret = p;
	return 0;
}

int inet_port_parse(const char *text, uint16_t *ret)
{
	unsigned v = 0, n = 0;

	for (; text[n] >= '0' && text[n] <= '9' && n < 6; n++)
		v = v * 10 + (unsigned)(text[n] - '0');
	if (n == 0 || text[n] != '\0' || v > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)v;
	return 0;
}

int inet_endpoint_parse(const char *text, struct in6_addr *ret_address, uint16_t *ret_port)
{
	static const struct in6_addr mapped = { { { [10] = 0xff, [11] = 0xff } } };
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	char host[INET_ADDR_TEXT + 2];
	struct in6_addr a = mapped;
	uint16_t port;

	if (!colon || n >= sizeof(host) || inet_port_parse(colon + 1, &port) < 0)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		if (inet_parse(host + 1, &a) < 0)
			return -EINVAL;
	} else if (inet_pton(AF_INET, host, &a.s6_addr[12]) != 1) {
		return -EINVAL;
	}
	*ret_address = a;
	*ret_port = port;
	return 0;
}

const char *inet_format(const struct in6_addr *a, char buffer[static INET_ADDR_TEXT])
{
	return inet_ntop(AF_INET6, a, buffer, INET_ADDR_TEXT);
}

const char *inet_prefix_format(const struct inet_prefix *p, char buffer[static INET_PREFIX_TEXT])
{
	char address[INET_ADDR_TEXT];

	snprintf(buffer, INET_PREFIX_TEXT, "%s/%u", inet_format(&p->address, address), p->length);
	return buffer;
}

const char *inet_protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		return NULL;
	}
}

int inet_protocol_parse(const char *text)
{
	if (strcmp(text, "tcp") == 0)
		return IPPROTO_TCP;
	if (strcmp(text, "udp") == 0)
		return IPPROTO_UDP;
	if (strcmp(text, "sctp") == 0)
		return IPPROTO_SCTP;
	return -EINVAL;
}
