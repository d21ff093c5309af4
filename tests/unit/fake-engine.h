/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * An engine on a unix socket, in the event loop of the test itself: answers from the recordings
 * of a real one, except where a route says otherwise. For what real engines cannot be made to do.
 */
#include "base/own.h"
#include "base/vec.h"
#include "unit/cmocka.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

enum fake_how {
	FAKE_JSON,    /* the text, with this status */
	FAKE_RAW,     /* the text is all there is, then the connection ends */
	FAKE_HANG,    /* no answer */
	FAKE_ENDLESS, /* 200, and a body without an end */
};

struct fake_route {
	char match[96]; /* part of the path, which ends with "\n" */
	enum fake_how how;
	int status;
	char *text;
};

struct fake_connection {
	struct fake *fake;
	int fd;
	sd_event_source *source;
	char in[8192];
	size_t n_in;
	char *out;
	size_t n_out;
	bool is_endless, ends;
	char path[1024]; /* of the last request */
};

struct fake_file {
	char id[65];
	char *text;
};

struct fake {
	sd_event *event;
	char dir[64], path[96];
	const char *engine, *api;
	int fd;
	sd_event_source *source;
	VEC(struct fake_connection *) connections;
	VEC(struct fake_route) routes; /* the last one that matches wins */
	VEC(struct fake_file) files;   /* of objects, by id */
	char log[65536];               /* paths asked for, one per line */
};

static inline char *fake_read(const struct fake *f, const char *name)
{
	char path[512], *text;
	struct stat st;
	FILE *file;

	snprintf(path, sizeof(path), "tests/data/engines/%s/%s", f->engine, name);
	file = fopen(path, "re");
	if (!file || fstat(fileno(file), &st) < 0) {
		fail_msg("%s is missing (run from the top of the source tree)", path);
		abort();
	}
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text || fread(text, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		abort();
	fclose(file);
	return text;
}

static inline void fake_load(struct fake *f, const char *engine)
{
	char path[512];
	DIR *dir;

	f->engine = engine;
	snprintf(path, sizeof(path), "tests/data/engines/%s", engine);
	dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		struct fake_file *file;
		char *id;

		if (strncmp(e->d_name, "network-", 8) != 0 &&
		    strncmp(e->d_name, "container-", 10) != 0)
			continue;
		file = vec_add(&f->files);
		file->text = fake_read(f, e->d_name);
		id = strstr(file->text, "\"Id\":");
		id += 5 + strspn(id + 5, " \"");
		snprintf(file->id, sizeof(file->id), "%.64s", id);
	}
	closedir(dir);
}

/* The id of the object that the recording of this name is about. */
static inline const char *fake_id(struct fake *f, const char *kind_and_name)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.json", kind_and_name);
	char *text = fake_read(f, name);
	const char *id = NULL;

	vec_foreach (file, &f->files)
		if (strcmp(file->text, text) == 0)
			id = file->id;
	free(text);
	if (!id)
		fail_msg("no %s", kind_and_name);
	return id;
}

static inline void fake_route(struct fake *f, const char *match, enum fake_how how, int status,
			      const char *text)
{
	struct fake_route *r = vec_add(&f->routes);

	if (!r)
		abort();
	snprintf(r->match, sizeof(r->match), "%s", match);
	r->how = how;
	r->status = status;
	r->text = strdup(text ? text : "");
}

static inline void fake_unroute(struct fake *f)
{
	vec_foreach (r, &f->routes)
		free(r->text);
	vec_done(&f->routes);
}

static inline void fake_close(struct fake_connection *c)
{
	struct fake *f = c->fake;

	for (size_t i = 0; i < f->connections.n; i++)
		if (f->connections.items[i] == c) {
			vec_remove(&f->connections, i);
			break;
		}
	sd_event_source_disable_unref(c->source);
	close(c->fd);
	free(c->out);
	free(c);
}

static inline void fake_flush(struct fake_connection *c)
{
	if (c->is_endless && !c->n_out) {
		c->n_out = 1 << 20;
		c->out = realloc(c->out, c->n_out);
		memset(c->out, 'x', c->n_out);
	}
	while (c->n_out) {
		ssize_t n = send(c->fd, c->out, c->n_out, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			break;
		memmove(c->out, c->out + n, c->n_out - (size_t)n);
		c->n_out -= (size_t)n;
	}
	if (!c->n_out && c->ends) {
		fake_close(c);
		return;
	}
	sd_event_source_set_io_events(c->source,
				      EPOLLIN | (c->n_out || c->is_endless ? EPOLLOUT : 0));
}

static inline void fake_send(struct fake_connection *c, const char *text, size_t length)
{
	c->out = realloc(c->out, c->n_out + length + 1);
	memcpy(c->out + c->n_out, text, length);
	c->n_out += length;
	fake_flush(c);
}

static inline void fake_reply(struct fake_connection *c, int status, const char *text)
{
	char head[512];

	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d X\r\nApi-Version: %s\r\nDate: Sat, 21 Nov 2026 03:30:00 GMT\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 status, c->fake->api, strlen(text));
	_cleanup_(freep) char *all = NULL;
	assert_true(asprintf(&all, "%s%s", head, text) > 0);
	fake_send(c, all, strlen(all));
}

static inline void fake_reply_file(struct fake_connection *c, const char *name)
{
	_cleanup_(freep) char *text = fake_read(c->fake, name);

	fake_reply(c, 200, text);
}

static inline void fake_recorded(struct fake_connection *c)
{
	static const char open[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
	const char *name = strchr(c->path + 1, '/');

	if (strcmp(c->path, "/_ping") == 0)
		fake_reply(c, 200, "OK");
	else if (strstr(c->path, "/events?"))
		fake_send(c, open, strlen(open));
	else if (name && strcmp(name, "/version") == 0)
		fake_reply_file(c, "version.json");
	else if (name && strcmp(name, "/info") == 0)
		fake_reply_file(c, "info.json");
	else if (name && strcmp(name, "/networks") == 0)
		fake_reply_file(c, "networks.json");
	else if (name && strcmp(name, "/containers/json?all=1") == 0)
		fake_reply_file(c, "containers.json");
	else {
		vec_foreach (file, &c->fake->files)
			if (strstr(c->path, file->id)) {
				fake_reply(c, 200, file->text);
				return;
			}
		fake_reply(c, 404, "{\"message\":\"No such object\"}");
	}
}

static inline void fake_answer(struct fake_connection *c)
{
	static const char endless[] = "HTTP/1.1 200 OK\r\n\r\n";
	struct fake *f = c->fake;
	size_t n = strlen(f->log);
	char line[1040];

	snprintf(line, sizeof(line), "%s\n", c->path);
	snprintf(f->log + n, sizeof(f->log) - n, "%s", line);
	for (size_t i = f->routes.n; i-- > 0;) {
		struct fake_route *r = &f->routes.items[i];

		if (!strstr(line, r->match))
			continue;
		switch (r->how) {
		case FAKE_JSON:
			fake_reply(c, r->status, r->text);
			return;
		case FAKE_RAW:
			c->ends = true;
			fake_send(c, r->text, strlen(r->text));
			return;
		case FAKE_HANG:
			return;
		case FAKE_ENDLESS:
			c->is_endless = true;
			fake_send(c, endless, strlen(endless));
			return;
		}
	}
	fake_recorded(c);
}

static inline int fake_on_data(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fake_connection *c = userdata;
	char *end;
	ssize_t n;

	(void)source;
	if (revents & EPOLLOUT)
		fake_flush(c);
	else {
		n = recv(fd, c->in + c->n_in, sizeof(c->in) - 1 - c->n_in, MSG_DONTWAIT);
		if (n <= 0) {
			fake_close(c);
			return 0;
		}
		c->n_in += (size_t)n;
		c->in[c->n_in] = '\0';
		end = strstr(c->in, "\r\n\r\n");
		if (end && sscanf(c->in, "GET %1023s", c->path) == 1) {
			c->n_in = 0;
			fake_answer(c);
		}
	}
	return 0;
}

static inline int fake_on_connect(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fake_connection *c = calloc(1, sizeof(*c));
	struct fake *f = userdata;

	(void)source;
	(void)revents;
	c->fake = f;
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(c->fd >= 0);
	assert_int_equal(sd_event_add_io(f->event, &c->source, c->fd, EPOLLIN, fake_on_data, c), 0);
	*vec_add(&f->connections) = c;
	return 0;
}

static inline void fake_listen(struct fake *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	(void)unlink(f->path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(f->fd, 256), 0);
	assert_true(sd_event_add_io(f->event, &f->source, f->fd, EPOLLIN, fake_on_connect, f) >= 0);
}

/* As an engine that ends: nobody listens, and every connection is closed. */
static inline void fake_stop(struct fake *f)
{
	while (f->connections.n)
		fake_close(f->connections.items[0]);
	if (f->fd >= 0) {
		f->source = sd_event_source_disable_unref(f->source);
		close(f->fd);
		f->fd = -1;
		(void)unlink(f->path);
	}
}

static inline struct fake *fake_new(const char *engine, const char *api)
{
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->fd = -1;
	f->api = api;
	assert_true(sd_event_new(&f->event) >= 0);
	snprintf(f->dir, sizeof(f->dir), "/tmp/ipv6nat-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/run/docker.sock", f->dir);
	fake_load(f, engine);
	return f;
}

static inline void fake_start(struct fake *f)
{
	char run[80];

	snprintf(run, sizeof(run), "%s/run", f->dir);
	(void)mkdir(run, 0700);
	fake_listen(f);
}

static inline void fake_free(struct fake *f)
{
	char run[80];

	fake_stop(f);
	fake_unroute(f);
	vec_foreach (file, &f->files)
		free(file->text);
	vec_done(&f->files);
	vec_done(&f->connections);
	snprintf(run, sizeof(run), "%s/run", f->dir);
	(void)rmdir(run);
	(void)rmdir(f->dir);
	sd_event_unref(f->event);
	free(f);
}

/* The connection that the event stream is on. */
static inline struct fake_connection *fake_stream(struct fake *f)
{
	vec_foreach (c, &f->connections)
		if (strstr((*c)->path, "/events?"))
			return *c;
	fail_msg("no event stream");
	return NULL;
}

static inline unsigned fake_seen(const struct fake *f, const char *part)
{
	unsigned n = 0;

	for (const char *p = strstr(f->log, part); p; p = strstr(p + 1, part))
		n++;
	return n;
}
