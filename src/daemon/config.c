/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/config.h"

#include "wire/conf-ini.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int explain(int error, const char *path, char **ret_error)
{
	if (asprintf(ret_error, "Cannot read the configuration %s: %s", path, strerror(-error)) < 0)
		*ret_error = NULL;
	return error;
}

/* Never blocks: what is no file, a FIFO above all, is refused. /dev/null masks a drop-in. */
static int open_file(const char *path, FILE **ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return -ENXIO;
	f = fdopen(fd, "re");
	if (!f)
		return -errno;
	(void)steal_fd(&fd);
	*ret = f;
	return 0;
}

static int load_file(const char *path, bool may_be_missing, struct config *c, char **ret_error)
{
	_cleanup_(fclosep) FILE *f = NULL;
	int r;

	r = open_file(path, &f);
	if (r == -ENOENT && may_be_missing)
		return 0;
	if (r < 0)
		return explain(r, path, ret_error);
	r = conf_ini_parse(f, path, c, ret_error);
	if (r < 0 && !*ret_error)
		return explain(r, path, ret_error);
	return r;
}

static int is_dropin(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

/* Not alphasort(): the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_dropins(const char *directory, struct config *c, char **ret_error)
{
	struct dirent **names = NULL;
	int n, r = 0;

	n = scandir(directory, &names, is_dropin, compare_names);
	if (n < 0)
		return errno == ENOENT ? 0 : explain(-errno, directory, ret_error);

	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *path = NULL;

		if (r == 0 && asprintf(&path, "%s/%s", directory, names[i]->d_name) < 0) {
			path = NULL;
			r = -ENOMEM;
		}
		if (r == 0)
			r = load_file(path, false, c, ret_error);
		free(names[i]);
	}
	free(names);
	return r;
}

int config_load(const char *file, struct config *ret, char **ret_error)
{
	_cleanup_(freep) char *directory = NULL, *error = NULL;
	const char *path = file ? file : CONFIG_DEFAULT_FILE;
	struct config c;
	int r;

	r = config_init(&c);
	if (r == 0 && asprintf(&directory, "%s.d", path) < 0) {
		directory = NULL;
		r = -ENOMEM;
	}
	if (r == 0)
		r = load_file(path, !file, &c, &error);
	if (r == 0)
		r = load_dropins(directory, &c, &error);
	if (r < 0) {
		config_done(&c);
		*ret_error = steal_ptr(&error);
		return r;
	}
	*ret = c;
	return 0;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

/* Where the docker command looks when DOCKER_TLS_VERIFY is set alone; NULL if there is nothing. */
static int default_cert_path(char **ret)
{
	_cleanup_(freep) char *directory = NULL, *ca = NULL;
	const char *base = environment("DOCKER_CONFIG");
	int n;

	if (base)
		n = asprintf(&directory, "%s", base);
	else if (environment("HOME"))
		n = asprintf(&directory, "%s/.docker", environment("HOME"));
	else
		return 0;
	if (n < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	if (asprintf(&ca, "%s/ca.pem", directory) < 0) {
		ca = NULL;
		return -ENOMEM;
	}
	if (access(ca, R_OK) == 0)
		*ret = steal_ptr(&directory);
	return 0;
}

int config_docker_resolve(const char *option, const struct config *c, struct config_docker *ret)
{
	const char *host = option, *cert_path = environment("DOCKER_CERT_PATH");
	struct config_docker t = { 0 };
	bool is_unix;
	int r = 0;

	if (!host)
		host = environment("DOCKER_HOST");
	if (!host)
		host = c->docker_host;
	if (!host)
		host = CONFIG_DEFAULT_DOCKER;
	if (!cert_path)
		cert_path = c->docker_cert_path;

	/* Unlike the docker command, certificates in our own configuration mean to be used. */
	is_unix = strncmp(host, "unix:", 5) == 0;
	t.tls_verify = environment("DOCKER_TLS_VERIFY") || strncmp(host, "https:", 6) == 0 ||
		       (c->docker_cert_path && !is_unix);
	t.host = strdup(host);
	if (!t.host)
		r = -ENOMEM;
	if (cert_path && r == 0) {
		t.cert_path = strdup(cert_path);
		if (!t.cert_path)
			r = -ENOMEM;
	} else if (t.tls_verify && !is_unix && r == 0) {
		r = default_cert_path(&t.cert_path);
	}
	if (r < 0) {
		config_docker_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void config_docker_done(struct config_docker *t)
{
	free(t->host);
	free(t->cert_path);
	*t = (struct config_docker){ 0 };
}
