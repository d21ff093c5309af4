/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/* Where the configuration is found: files, drop-in directory, environment. */
#include "base/config.h"
#include "base/own.h"

#define CONFIG_DEFAULT_FILE "/etc/ipv6nat/ipv6nat.conf"
#define CONFIG_DEFAULT_DOCKER "unix:///var/run/docker.sock"

/*
 * Reads FILE and then FILE.d/?*.conf in the order of their names. file NULL: the default file, which
 * may be missing, as any FILE.d may. On failure returns -errno (-EINVAL: what the files say),
 * leaves *ret alone, and puts a sentence for the user into *ret_error (NULL without memory).
 */
int config_load(const char *file, struct config *ret, char **ret_error);

/* Which engine, and how it is spoken to. */
struct config_docker {
	char *host;
	char *cert_path; /* NULL: none */
	bool tls_verify;
};

/*
 * --docker (NULL: not given) overrides $DOCKER_HOST, which overrides the configuration;
 * $DOCKER_TLS_VERIFY and $DOCKER_CERT_PATH as in the docker command. 0 or -ENOMEM.
 */
int config_docker_resolve(const char *option, const struct config *c, struct config_docker *ret);
void config_docker_done(struct config_docker *t);
