/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The insides of io/http-server:
 *
 *   http-server.c          sockets, requests, answers that are complete
 *   http-server-stream.c   answers that go on
 */
#include "io/http-server.h"

#include <microhttpd.h>
#include <sys/queue.h>

struct http_stream {
	struct http_server *server;
	struct MHD_Connection *connection; /* NULL: closed */
	struct http_stream_callbacks callbacks;
	void *userdata;
	sd_event_source *watch;
	LIST_ENTRY(http_stream) list; /* until closed */
	char *queue;
	size_t n;
	bool suspended;
	bool ended; /* nothing more is to be sent */
};
LIST_HEAD(http_streams, http_stream);

/* Has the event loop run libmicrohttpd soon. */
void http_server_kick(struct http_server *s);

/*
 * The answer of a new stream, which is in the list from now on and frees itself with the
 * connection, once http_stream_closed() was called. NULL without memory.
 */
struct MHD_Response *http_stream_new(struct http_server *server, sd_event *event,
				     struct MHD_Connection *connection,
				     struct http_streams *streams,
				     const struct http_stream_callbacks *callbacks, void *userdata,
				     struct http_stream **ret);
/* The connection has come to its end, or does so with libmicrohttpd's. */
void http_stream_closed(struct http_stream *s);
/* Before libmicrohttpd is stopped, which must find nothing suspended. */
void http_stream_end(struct http_stream *s);
