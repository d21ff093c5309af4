/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void ctl_error(const char *cure, const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("ipv6natctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (cure && cure[0] != '\0')
		fprintf(stderr, "  %s\n", cure);
}

static size_t sequence_length(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

/* Length of the valid UTF-8 sequence at p, 0: none; and its code point (RFC 3629). */
static size_t decode(const unsigned char *p, uint32_t *ret)
{
	static const uint32_t minimum[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = sequence_length(p[0]);
	uint32_t c;

	if (n < 2) {
		*ret = p[0];
		return n;
	}
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < minimum[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return n;
}

static bool is_harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false; /* C0, DEL, C1 */
	if (c == 0x200e || c == 0x200f || c == 0x061c)
		return false; /* direction marks */
	return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

char *ctl_escape(const char *text, const char *allowed)
{
	const unsigned char *p = (const unsigned char *)text;
	char *result = malloc(strlen(text) * 4 + 1), *q = result;
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	uint32_t c;

	if (!result)
		return NULL;
	while (*p != '\0') {
		size_t n = decode(p, &c);
		bool copy = n == 1 ? is_harmless(c) || strchr(allowed, (int)c)
				   : n > 1 && is_utf8 && is_harmless(c);

		for (n = n > 0 ? n : 1; n > 0; n--, p++) {
			if (copy)
				*q++ = (char)*p;
			else
				q += sprintf(q, "\\x%02x", *p);
		}
	}
	*q = '\0';
	return result;
}
