/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* IPv6 addresses and prefixes: compare, contain, parse, format. All pure. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct inet_prefix {
	struct in6_addr address; /* host bits are zero */
	uint8_t length;          /* bits, 0..128 */
};

#define INET_ADDR_TEXT INET6_ADDRSTRLEN
#define INET_PREFIX_TEXT (INET6_ADDRSTRLEN + 4)

int inet_compare(const struct in6_addr *a, const struct in6_addr *b);
bool inet_equal(const struct in6_addr *a, const struct in6_addr *b);
bool inet_is_zero(const struct in6_addr *a);

/* Clears the bits of *a beyond length. */
void inet_mask(struct in6_addr *a, uint8_t length);
/* The last address of a prefix (all host bits set). */
void inet_prefix_last(const struct inet_prefix *p, struct in6_addr *ret);
bool inet_prefix_contains(const struct inet_prefix *p, const struct in6_addr *a);
/* True if the two prefixes share at least one address. */
bool inet_prefix_overlaps(const struct inet_prefix *a, const struct inet_prefix *b);
int inet_prefix_compare(const struct inet_prefix *a, const struct inet_prefix *b);

bool inet_is_ula(const struct in6_addr *a);        /* fc00::/7, RFC 4193 */
bool inet_is_link_local(const struct in6_addr *a); /* fe80::/10, RFC 4291 2.5.6 */
bool inet_is_loopback(const struct in6_addr *a);
bool inet_is_multicast(const struct in6_addr *a);

/* Strict: no zone, no brackets, no surrounding space. Returns 0 or -EINVAL. */
int inet_parse(const char *text, struct in6_addr *ret);
/* "ADDRESS/LENGTH"; host bits are cleared. Returns 0 or -EINVAL. */
int inet_prefix_parse(const char *text, struct inet_prefix *ret);
/* Decimal 0..65535 without sign or space. Returns 0 or -EINVAL. */
int inet_port_parse(const char *text, uint16_t *ret);

/* "[ADDRESS6]:PORT" or "ADDRESS4:PORT", the latter as ::ffff:0:0/96. Returns 0 or -EINVAL. */
int inet_endpoint_parse(const char *text, struct in6_addr *ret_address, uint16_t *ret_port);

/* Format into the caller's buffer and return it. RFC 5952 text form. */
const char *inet_format(const struct in6_addr *a, char buffer[static INET_ADDR_TEXT]);
const char *inet_prefix_format(const struct inet_prefix *p, char buffer[static INET_PREFIX_TEXT]);

/* "tcp", "udp", "sctp" or NULL; and back, returning IPPROTO_x or -EINVAL. */
const char *inet_protocol_name(uint8_t protocol);
int inet_protocol_parse(const char *text);
