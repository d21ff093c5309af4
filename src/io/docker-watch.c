/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * While there is no connection to a unix socket: inotify on its directory, or on the nearest one
 * above it that exists, so that the socket is tried as soon as it appears. Only then: a directory
 * like /run is a busy place, and a connected daemon has no interest in it.
 */
#include "base/log.h"
#include "io/docker-private.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define WATCH_MASK \
	(IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
/* A socket appears when it is bound, a moment before its owner listens. */
#define APPEARED_BACKOFF_US 20000ULL

uint64_t docker_watch_inode(const struct docker *d)
{
	struct stat st;

	if (stat(d->address.unix_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	return st.st_ino;
}

/* What may change the place to watch. */
#define MOVES (IN_ISDIR | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED)

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct docker *d = userdata;
	const char *name = strrchr(d->address.unix_path, '/') + 1;
	bool is_ours = event->len && strcmp(event->name, name) == 0;
	uint64_t inode = docker_watch_inode(d);

	(void)source;
	if (d->phase != DOCKER_WAITING)
		return 0;
	/* A new socket, or new permissions on it; not what else happens beside it. */
	if (inode && (inode != d->watched_inode || is_ours)) {
		d->backoff_us = APPEARED_BACKOFF_US;
		docker_connect(d);
	} else if (event->mask & MOVES)
		docker_watch_start(d);
	return 0;
}

static int watch_directory(struct docker *d, const char *path)
{
	sd_event_source *source = NULL;
	int r = sd_event_add_inotify(d->event, &source, path, WATCH_MASK, on_inotify, d);

	if (r < 0)
		return r;
	(void)sd_event_source_set_description(source, "docker-socket-watch");
	sd_event_source_disable_unref(d->watch);
	d->watch = source;
	return 0;
}

/* Returns > 0 if a directory nearer to the socket has come meanwhile. */
static int watch_nearest(struct docker *d)
{
	_cleanup_(freep) char *path = strdup(d->address.unix_path);
	int r = -ENOMEM;

	if (!path)
		return r;
	for (char *slash = strrchr(path, '/'), *below = NULL; slash;
	     below = slash, slash = strrchr(path, '/')) {
		slash[slash == path] = '\0';
		r = watch_directory(d, path);
		if (r >= 0 && below) {
			/* Both cuts undone, the path is one step longer again. */
			if (slash != path)
				*slash = '/';
			return slash != path && access(path, F_OK) == 0;
		}
		if ((r != -ENOENT && r != -ENOTDIR) || slash == path)
			break;
	}
	return r;
}

void docker_watch_start(struct docker *d)
{
	uint64_t inode;
	int r = 1;

	if (!d->address.unix_path)
		return;
	for (int tries = 0; tries < 4 && r > 0; tries++)
		r = watch_nearest(d);
	if (r < 0)
		log_debug_errno(r, "Cannot watch for %s to appear: %m", d->address.unix_path);
	/* It may have come between the last attempt and the watch. */
	inode = docker_watch_inode(d);
	if (inode && inode != d->watched_inode)
		docker_connect_soon(d, 0);
}

void docker_watch_stop(struct docker *d)
{
	d->watch = sd_event_source_disable_unref(d->watch);
}
