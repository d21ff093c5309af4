/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * The insides of io/http-server:
 *
 *   http-server.c          requests, answers that are complete
 *   http-server-listen.c   the listening socket
 *   http-server-client.c   how long a client may take
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

/* Ours, if it is in the file system: another daemon's at the same place is not ours to remove. */
struct http_socket {
	char *name; /* path or address */
	dev_t device;
	ino_t inode;
	bool bound;
};

/* Logs failures, as of http_server_new(). */
int http_server_listen(struct http_socket *s, const struct http_server_config *config, int *ret_fd);
/* Removes the socket from the file system; the caller has closed it. */
void http_server_unlisten(struct http_socket *s);

/*
 * A client has some time for a request, and again for reading the answer, however it divides its
 * bytes: libmicrohttpd's own timeout begins anew with each of them.
 */
struct http_client {
	struct http_clients *clients;
	int fd;
	uint64_t since_us; /* 0: takes no time of ours */
	TAILQ_ENTRY(http_client) list;
};
struct http_clients {
	TAILQ_HEAD(, http_client) queue; /* who is to hurry, the first of them first */
	sd_event_source *timer;
	uint64_t limit_us;
};

int http_clients_init(struct http_clients *c, sd_event *event, unsigned limit_s);
void http_clients_done(struct http_clients *c);
/* NULL without memory, which the others take. fd stays libmicrohttpd's. */
struct http_client *http_client_new(struct http_clients *c, int fd);
void http_client_free(struct http_client *c);
void http_client_hurry(struct http_client *c); /* its time begins now */
void http_client_rest(struct http_client *c);  /* it waits for us */

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
