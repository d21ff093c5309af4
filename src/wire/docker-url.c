/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/docker-url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int parse_unix(const char *path, struct docker_address *ret, const char **ret_why)
{
	if (*path != '/') {
		*ret_why = "the path of a unix socket begins with /, as in unix:///run/docker.sock";
		return -EINVAL;
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		*ret_why = "the path is longer than a unix socket's may be (107 bytes)";
		return -EINVAL;
	}
	ret->unix_path = strdup(path);
	ret->base_url = strdup("http://localhost");
	return ret->unix_path && ret->base_url ? 0 : -ENOMEM;
}

/* "[::1]:2375" has colons that do not begin a port. */
static bool has_port(const char *host)
{
	const char *bracket = strrchr(host, ']');

	return strchr(bracket ? bracket : host, ':') != NULL;
}

static int parse_tcp(const char *text, bool tls, struct docker_address *ret, const char **ret_why)
{
	size_t n = strcspn(text, "/");
	_cleanup_(freep) char *host = strndup(text, n);

	if (!host)
		return -ENOMEM;
	if (!n || (text[n] && text[n + 1])) {
		*ret_why = "expected HOST:PORT without a path";
		return -EINVAL;
	}
	if (strcspn(host, "@?# \t\r\n") != n) {
		*ret_why = "expected HOST:PORT and nothing else";
		return -EINVAL;
	}
	if (asprintf(&ret->base_url, "%s://%s%s", tls ? "https" : "http", host,
		     has_port(host) ? ""
		     : tls          ? ":2376"
				    : ":2375") < 0) {
		ret->base_url = NULL;
		return -ENOMEM;
	}
	return 0;
}

int docker_address_parse(const char *url, bool has_certs, bool tls_verify,
			 struct docker_address *ret, const char **ret_why)
{
	_cleanup_(docker_address_done) struct docker_address a = {};
	int r;

	/* As the docker command: certificates given but no wish to verify means just that. */
	a.verify = tls_verify || !has_certs;
	if (strncmp(url, "unix://", 7) == 0)
		r = parse_unix(url + 7, &a, ret_why);
	else if (strncmp(url, "tcp://", 6) == 0)
		r = parse_tcp(url + 6, tls_verify, &a, ret_why);
	else if (strncmp(url, "http://", 7) == 0)
		r = parse_tcp(url + 7, false, &a, ret_why);
	else if (strncmp(url, "https://", 8) == 0)
		r = parse_tcp(url + 8, true, &a, ret_why);
	else {
		*ret_why = "expected unix:///PATH, tcp://HOST:PORT or https://HOST:PORT";
		r = -EINVAL;
	}
	if (r < 0)
		return r;
	*ret = a;
	a = (struct docker_address){};
	return 0;
}

void docker_address_done(struct docker_address *a)
{
	free(a->base_url);
	free(a->unix_path);
	*a = (struct docker_address){};
}
