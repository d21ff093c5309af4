/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/attrs.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

static int parse_range(const void *data, size_t size, const struct nlattr **tb, size_t n)
{
	const struct nlattr *a = data;
	const char *end = (const char *)data + size;

	memset(tb, 0, n * sizeof(*tb));
	while (mnl_attr_ok(a, (int)(end - (const char *)a))) {
		uint16_t type = mnl_attr_get_type(a);

		if (type < n)
			tb[type] = a;
		a = mnl_attr_next(a);
		if ((const char *)a > end)
			break; /* the padding of the last one may be missing */
	}
	/* A rest that is no attribute: the lengths lied. */
	return (const char *)a < end ? -EBADMSG : 0;
}

int attrs_parse(const struct nlmsghdr *h, size_t offset, const struct nlattr **tb, size_t n)
{
	size_t size = mnl_nlmsg_get_payload_len(h);

	offset = MNL_ALIGN(offset);
	if (size < offset)
		return -EBADMSG;
	return parse_range((const char *)mnl_nlmsg_get_payload(h) + offset, size - offset, tb, n);
}

int attrs_parse_nested(const struct nlattr *nest, const struct nlattr **tb, size_t n)
{
	return parse_range(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), tb, n);
}

bool attrs_bytes(const struct nlattr *a, void *ret, size_t size)
{
	if (!a || mnl_attr_get_payload_len(a) != size)
		return false;
	memcpy(ret, mnl_attr_get_payload(a), size);
	return true;
}

bool attrs_be16(const struct nlattr *a, uint16_t *ret)
{
	uint16_t value;

	if (!attrs_bytes(a, &value, sizeof(value)))
		return false;
	*ret = ntohs(value);
	return true;
}

bool attrs_be32(const struct nlattr *a, uint32_t *ret)
{
	uint32_t value;

	if (!attrs_bytes(a, &value, sizeof(value)))
		return false;
	*ret = ntohl(value);
	return true;
}

bool attrs_be64(const struct nlattr *a, uint64_t *ret)
{
	uint64_t value;

	if (!attrs_bytes(a, &value, sizeof(value)))
		return false;
	*ret = be64toh(value);
	return true;
}

bool attrs_string(const struct nlattr *a, char *ret, size_t size)
{
	size_t length = a ? strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)) : size;

	ret[0] = '\0';
	if (length >= size)
		return false;
	memcpy(ret, mnl_attr_get_payload(a), length);
	ret[length] = '\0';
	return true;
}

bool attrs_string_equals(const struct nlattr *a, const char *text)
{
	size_t length = a ? strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a)) : 0;

	return a && length == strlen(text) && memcmp(mnl_attr_get_payload(a), text, length) == 0;
}
