/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * ndppd.conf(5) of ndppd 0.2, up to 0.2.6, as ndppd reads it; and what it means as our own
 * configuration. Untrusted, bounded.
 */
#include "base/inet.h"
#include "base/own.h"
#include "base/vec.h"

#include <net/if.h>

#define NDPPD_CONF_MAX ((size_t)1024 * 1024)

/* In the order of precedence where a rule names several, as 0.2.5 has it. */
enum ndppd_method {
	NDPPD_METHOD_NONE, /* 0.2.5 takes it for static, 0.2.6 refuses it */
	NDPPD_METHOD_STATIC,
	NDPPD_METHOD_AUTO,
	NDPPD_METHOD_IFACE,
};

/* What is neither a section nor a method, known or not. */
struct ndppd_option {
	unsigned line;
	char *name;
	char *value; /* "": none */
};
struct ndppd_options {
	VEC_FIELDS(struct ndppd_option);
};

struct ndppd_rule {
	unsigned line;
	struct inet_prefix prefix;
	enum ndppd_method method;
	bool ambiguous;           /* several methods */
	char interface[IFNAMSIZ]; /* of method iface */
	struct ndppd_options options;
};

struct ndppd_proxy {
	unsigned line;
	char interface[IFNAMSIZ];
	struct ndppd_options options;
	VEC(struct ndppd_rule) rules;
};

struct ndppd_conf {
	struct ndppd_options options;
	VEC(struct ndppd_proxy) proxies;
	unsigned open_comment; /* the line of a comment that is never closed, or 0 */
};

/* 0, -EINVAL and a malloc()ed "FILE:LINE: what" in *ret_error, or -ENOMEM. */
int ndppd_conf_parse(const char *text, size_t n, const char *name, struct ndppd_conf *ret,
		     char **ret_error);
void ndppd_conf_done(struct ndppd_conf *c);

/* ipv6nat.conf(5); comments say what has no counterpart or is not needed. 0 or -ENOMEM. */
int ndppd_conf_to_ini(const struct ndppd_conf *c, char **ret);
