/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where the engine is, as DOCKER_HOST and Host= say it. */
#include "base/own.h"

#include <stdbool.h>

struct docker_address {
	char *base_url;
	char *unix_path; /* NULL: TCP */
	bool verify;
};

/* -EINVAL with the reason as text, -ENOMEM; ret is untouched then. */
int docker_address_parse(const char *url, bool has_certs, bool tls_verify,
			 struct docker_address *ret, const char **ret_why);
void docker_address_done(struct docker_address *a);
