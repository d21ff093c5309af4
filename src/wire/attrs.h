/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Netlink attributes of untrusted messages: tables of pointers to well-formed attributes, and
 * getters that measure before they read. All of them take NULL for an absent attribute.
 */
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* mnl_nlmsg_ok() of libmnl 1.0.4 takes a length beyond 2 GiB for a negative one: it passes. */
static inline bool attrs_message_ok(const struct nlmsghdr *h, int left)
{
	return mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
}

/* Fills tb[0..n) with the attributes behind the first offset bytes of the payload; types of n and
 * above are passed over. 0 or -EBADMSG. */
int attrs_parse(const struct nlmsghdr *h, size_t offset, const struct nlattr **tb, size_t n);
int attrs_parse_nested(const struct nlattr *nest, const struct nlattr **tb, size_t n);

/* False: absent, or of another size; *ret is unchanged. */
bool attrs_be16(const struct nlattr *a, uint16_t *ret);
bool attrs_be32(const struct nlattr *a, uint32_t *ret);
bool attrs_be64(const struct nlattr *a, uint64_t *ret);
bool attrs_bytes(const struct nlattr *a, void *ret, size_t size);
/* With or without a terminating zero; false and "" if it does not fit. */
bool attrs_string(const struct nlattr *a, char *ret, size_t size);
bool attrs_string_equals(const struct nlattr *a, const char *text);
