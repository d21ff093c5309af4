/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lies below /proc/sys/net is that of the calling process's own network namespace. */
#include "io/link-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netconf.h>
#include <stdio.h>

#define SYSCTL_ROOT "/proc/sys/"
#define SYSCTL_CONF "net/ipv6/conf/"

/* "", ".", ".." as components are not for us, nor is a path that starts over at the root. */
static bool is_plain_path(const char *path)
{
	for (;;) {
		size_t length = strcspn(path, "/");

		if (length == 0 || (length <= 2 && strspn(path, ".") >= length))
			return false;
		if (path[length] == '\0')
			return true;
		path += length + 1;
	}
}

static int open_sysctl(const char *path, int flags)
{
	char full[PATH_MAX];
	int fd;

	if (!is_plain_path(path))
		return -EINVAL;
	if (snprintf(full, sizeof(full), SYSCTL_ROOT "%s", path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* -1: absent, unreadable, or not a number that could be a switch. */
static int read_number(const char *path)
{
	_cleanup_(closep) int fd = open_sysctl(path, O_RDONLY);
	char text[32];
	ssize_t n;
	long value;
	char *end;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || value < 0 || value > INT_MAX)
		return -1;
	return (int)value;
}

static int read_conf(const char *interface, const char *key)
{
	char path[sizeof(SYSCTL_CONF) + IFNAMSIZ + 32];

	(void)snprintf(path, sizeof(path), SYSCTL_CONF "%s/%s", interface, key);
	return read_number(path);
}

/*
 * The kernel allows no '/' in names, but here they become components of a path. An interface may
 * be called "all" or "default"; it has no directory of its own then.
 */
static bool has_conf(const struct link *link)
{
	return !strchr(link->name, '/') && strcmp(link->name, "all") != 0 &&
	       strcmp(link->name, "default") != 0;
}

static int set(int *value, int now)
{
	if (*value == now)
		return 0;
	*value = now;
	return 1;
}

/*
 * Whose settings matter: uplinks, bridges, and what packets for a published port may come in on. An
 * uplink that lost its default route to forwarding is among them, the ports of a bridge are not.
 */
static bool is_wanted(const struct link *link)
{
	if (!has_conf(link))
		return false;
	if (link->default_route || link->is_bridge)
		return true;
	vec_foreach (a, &link->addresses)
		if (!inet_is_link_local(&a->address) && !inet_is_loopback(&a->address))
			return true;
	return false;
}

static int read_link(struct link *link)
{
	int accept_ra = -1, forwarding = -1, force_forwarding = -1;

	if (is_wanted(link)) {
		accept_ra = read_conf(link->name, "accept_ra");
		forwarding = read_conf(link->name, "forwarding");
		force_forwarding = read_conf(link->name, "force_forwarding");
	}
	return set(&link->accept_ra, accept_ra) | set(&link->forwarding, forwarding) |
	       set(&link->force_forwarding, force_forwarding);
}

int link_sysctl_complete(struct links *l)
{
	int changed = 0;

	vec_foreach (link, &l->links) {
		if (is_wanted(link) != (link->forwarding >= 0))
			changed |= read_link(link);
	}
	return changed;
}

/*
 * access(W_OK) would do for a read-only mount, which is how containers get /proc/sys, but not
 * for AppArmor and SELinux, which judge the opening of a file. Opening writes nothing.
 */
static bool is_writable(void)
{
	_cleanup_(closep) int fd = open_sysctl(SYSCTL_CONF "all/forwarding", O_WRONLY);

	return fd >= 0;
}

static int read_all_and_default(struct links *l)
{
	return set(&l->all_forwarding, read_conf("all", "forwarding")) |
	       set(&l->default_forwarding, read_conf("default", "forwarding"));
}

int link_sysctl_read_br_netfilter(struct links *l)
{
	return set(&l->bridge_nf_call_ip6tables,
		   read_number("net/bridge/bridge-nf-call-ip6tables"));
}

int link_sysctl_read(struct links *l)
{
	bool writable = is_writable();
	int changed;

	changed = read_all_and_default(l) | link_sysctl_read_br_netfilter(l);
	if (l->sysctl_writable != writable) {
		l->sysctl_writable = writable;
		changed = 1;
	}
	vec_foreach (link, &l->links)
		changed |= read_link(link);
	return changed;
}

int link_sysctl_read_one(struct links *l, int ifindex)
{
	struct link *link;

	if (ifindex == NETCONFA_IFINDEX_ALL || ifindex == NETCONFA_IFINDEX_DEFAULT)
		return read_all_and_default(l);
	link = links_find(l, ifindex);
	return link ? read_link(link) : 0;
}

int link_write_sysctl(const char *path, int value)
{
	_cleanup_(closep) int fd = open_sysctl(path, O_WRONLY);
	char text[16];
	int n;

	if (fd < 0)
		return fd;
	n = snprintf(text, sizeof(text), "%d\n", value);
	return write(fd, text, (size_t)n) < 0 ? -errno : 0;
}
