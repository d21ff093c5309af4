/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * While there is nothing to send, the connection is suspended: libmicrohttpd would ask again and
 * again otherwise. It does not look at a suspended connection's socket, so we do.
 */
#include "base/log.h"
#include "http-server-internal.h"

#include <errno.h>
#include <string.h>

/* What a reader may be behind, beside the socket's own buffer. */
#define QUEUE_SIZE ((size_t)64 * 1024)
#define BLOCK_SIZE ((size_t)4 * 1024)

static void resume(struct http_stream *s)
{
	if (!s->suspended)
		return;
	s->suspended = false;
	MHD_resume_connection(s->connection);
	http_server_kick(s->server);
}

bool http_stream_write(struct http_stream *s, const char *data, size_t n)
{
	if (n > QUEUE_SIZE - s->n)
		return false;
	memcpy(s->queue + s->n, data, n);
	s->n += n;
	resume(s);
	return true;
}

/* libmicrohttpd has room for "max" bytes. */
static ssize_t on_read(void *userdata, uint64_t position, char *ret, size_t max)
{
	struct http_stream *s = userdata;
	size_t n;

	(void)position;
	if (s->ended)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (s->n == 0)
		s->callbacks.on_drained(s->userdata);
	if (s->n == 0) {
		s->suspended = true;
		MHD_suspend_connection(s->connection);
		return 0;
	}
	n = s->n < max ? s->n : max;
	memcpy(ret, s->queue, n);
	s->n -= n;
	memmove(s->queue, s->queue + n, s->n);
	return (ssize_t)n;
}

/* The client has closed its end. One that only shut down its writing still reads. */
static int on_hangup(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)fd;
	(void)events;
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	http_stream_end(userdata);
	return 0;
}

static void on_free(void *userdata)
{
	struct http_stream *s = userdata;

	free(s->queue);
	free(s);
}

static int watch(struct http_stream *s, sd_event *event)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	/* EPOLLHUP and EPOLLERR are always told. */
	return info ? sd_event_add_io(event, &s->watch, info->connect_fd, 0, on_hangup, s)
		    : -ENOTCONN;
}

struct MHD_Response *http_stream_new(struct http_server *server, sd_event *event,
				     struct MHD_Connection *connection,
				     struct http_streams *streams,
				     const struct http_stream_callbacks *callbacks, void *userdata,
				     struct http_stream **ret)
{
	struct http_stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *response = NULL;

	if (!s)
		return NULL;
	s->server = server;
	s->connection = connection;
	s->callbacks = *callbacks;
	s->userdata = userdata;
	s->queue = malloc(QUEUE_SIZE);
	if (s->queue && watch(s, event) >= 0)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, on_read,
							     s, on_free);
	if (!response) {
		sd_event_source_disable_unref(s->watch);
		on_free(s);
		return NULL;
	}
	LIST_INSERT_HEAD(streams, s, list);
	*ret = s;
	return response;
}

void http_stream_end(struct http_stream *s)
{
	s->ended = true;
	resume(s);
}

void http_stream_closed(struct http_stream *s)
{
	/* libmicrohttpd closes the socket next. */
	s->watch = sd_event_source_disable_unref(s->watch);
	s->connection = NULL;
	s->suspended = false;
	LIST_REMOVE(s, list);
	s->callbacks.on_closed(s->userdata);
}
