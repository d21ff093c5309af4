/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lock.h"

#include "base/own.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * An abstract unix socket belongs to the network namespace, as our tables do: it is seen from
 * every container that shares the namespace, needs no file, and is gone with its owner.
 */
static const struct sockaddr_un lock_address = {
	.sun_family = AF_UNIX,
	.sun_path = "\0ipv6natd",
};
#define LOCK_ADDRESS_LENGTH \
	((socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof("\0ipv6natd") - 1))

static pid_t lock_owner(void)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred peer = {};
	socklen_t length = sizeof(peer);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&lock_address, LOCK_ADDRESS_LENGTH) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return 0;
	return peer.pid;
}

int lock_namespace(pid_t *ret_pid)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&lock_address, LOCK_ADDRESS_LENGTH) < 0) {
		r = -errno;
		*ret_pid = lock_owner();
		return r;
	}
	/* Nobody is ever accepted; the backlog is there for those who ask who listens. */
	if (listen(fd, 16) < 0)
		return -errno;
	return steal_fd(&fd);
}
