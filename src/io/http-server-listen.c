/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/inet.h"
#include "base/log.h"
#include "http-server-internal.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int peer_answers(const char *path, const struct sockaddr_un *address)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: its backlog is full, which takes somebody who listens. */
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return 1;
	if (errno != ECONNREFUSED && errno != ENOENT)
		return -errno;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

static int make_directory(const char *path)
{
	_cleanup_(freep) char *directory = strdup(path);
	char *slash;

	if (!directory)
		return -ENOMEM;
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	if (mkdir(directory, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	/* whatever the umask is: the socket's group has to get there */
	return chmod(directory, 0755) < 0 ? -errno : 0;
}

/*
 * 0660 root:GROUP. Without the group, 0600: root's own group may have members. A directory with the
 * set-group-ID bit has given the group already; only without one it takes CAP_CHOWN.
 */
static void open_to_group(const char *path, gid_t now, const char *group)
{
	const struct group *g = group ? getgrnam(group) : NULL;

	if (!g) {
		log_debug("%s: no group %s, so it is for root alone", path, group ? group : "");
		return;
	}
	if ((now != g->gr_gid && chown(path, (uid_t)-1, g->gr_gid) < 0) || chmod(path, 0660) < 0)
		log_warning_errno(errno, "%s: cannot be opened to group %s, stays with root: %m",
				  path, group);
}

static int listen_unix(struct http_socket *s, const char *group, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;
	struct stat st;
	mode_t mask;
	int r;

	if (strlen(s->name) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, s->name, strlen(s->name) + 1);
	r = make_directory(s->name);
	if (r < 0)
		return r;
	r = peer_answers(s->name, &address);
	if (r != 0)
		return r < 0 ? r : -EADDRINUSE;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* Born closed: between bind() and chmod() nobody gets in who should not. */
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	if (lstat(s->name, &st) < 0)
		return -errno;
	s->device = st.st_dev;
	s->inode = st.st_ino;
	s->bound = true;
	open_to_group(s->name, st.st_gid, group);
	if (listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int log_listen_error(int error, const char *path)
{
	if (error == -EADDRINUSE)
		return log_error_errno(error, "%s: another ipv6natd is running: it answers here",
				       path);
	if (error == -EEXIST)
		return log_error_errno(error, "%s: is there and no socket, so it is left alone",
				       path);
	return log_error_errno(error, "%s: cannot listen: %m", path);
}

static int listen_tcp(const char *endpoint, int *ret_fd)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };
	_cleanup_(closep) int fd = -1;
	uint16_t port;
	int r;

	r = inet_endpoint_parse(endpoint, &address.sin6_addr, &port);
	if (r < 0)
		return r;
	address.sin6_port = htons(port);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* IPv4 as well, if it is asked for; an address may come later than we do. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &(int){ 1 }, sizeof(int)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int http_server_listen(struct http_socket *s, const struct http_server_config *config, int *ret_fd)
{
	int r;

	s->name = strdup(config->path ? config->path : config->address);
	if (!s->name)
		return log_oom();
	r = config->path ? listen_unix(s, config->group, ret_fd) : listen_tcp(s->name, ret_fd);
	if (r == 0)
		return 0;
	return config->path ? log_listen_error(r, s->name)
			    : log_error_errno(r, "%s: cannot listen: %m", s->name);
}

void http_server_unlisten(struct http_socket *s)
{
	struct stat st;

	if (s->bound && lstat(s->name, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
		(void)unlink(s->name);
	free(s->name);
	*s = (struct http_socket){};
}
