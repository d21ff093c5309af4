/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * HTTP/1.1 on a unix socket or by TCP (libmicrohttpd on sd-event, no threads). Reading is for whom
 * the socket's permissions let in, everything but GET and HEAD for root (SO_PEERCRED), so that by TCP
 * nothing can be changed. Clients are limited in number, size and time; none can hold up the event
 * loop.
 */
#include "base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct http_server;
struct http_request;
struct http_stream;

struct http_route {
	const char *method; /* "GET" serves HEAD, too */
	const char *path;   /* exact, without the query */
	/*
	 * Answers with http_reply() (or http_reply_error()), exactly once: before it returns or
	 * later. Until then the request is valid, even when the client or the server is gone.
	 */
	void (*handler)(void *userdata, struct http_request *request);
};

struct http_server_config {
	const char *path; /* of the socket; its directory is made if that alone is missing */
	const char *
		address; /* where path is NULL: "[ADDRESS]:PORT", as inet_endpoint_parse() has it */
	const char *group; /* who may read; the socket is root's alone if it does not exist */
	const struct http_route *routes; /* not copied */
	size_t n_routes;
	unsigned max_clients;       /* 0: 64; more wait in the kernel's backlog */
	unsigned idle_timeout_s;    /* 0: 10; does not count while an answer is being made */
	unsigned request_timeout_s; /* 0: 15; for a whole request, and for reading the answer */
	size_t max_body;            /* 0: 4096 bytes */
};

/*
 * Replaces the socket of a dead daemon. -EADDRINUSE: another daemon answers there, or the port is
 * taken; -EEXIST: something that is no socket is there. Failures have been logged.
 */
int http_server_new(sd_event *event, const struct http_server_config *config, void *userdata,
		    struct http_server **ret);
/* Closes all connections and removes the socket. Not from within a route's handler. */
struct http_server *http_server_free(struct http_server *s);
DEFINE_CLEANUP(struct http_server *, http_server_free)

/* What the client sent, '\0' terminated, "" if nothing. */
const char *http_request_body(const struct http_request *r);
/* Takes over body, which is malloc()ed; NULL answers 500 instead. */
void http_reply(struct http_request *r, unsigned status, const char *content_type, char *body);
/* An api_json_error() document; cure may be "". */
void http_reply_error(struct http_request *r, unsigned status, const char *message,
		      const char *cure);

/* An answer that goes on until the client leaves. */
struct http_stream_callbacks {
	/* All that was written is on its way; may write. */
	void (*on_drained)(void *userdata);
	/* The client has left, read nothing for the idle timeout, or the server goes: *s is no more. */
	void (*on_closed)(void *userdata);
};

/* Instead of http_reply(), within the handler. On failure, -ENOMEM, a reply is still owed. */
int http_reply_stream(struct http_request *r, const char *content_type,
		      const struct http_stream_callbacks *callbacks, void *userdata,
		      struct http_stream **ret);
/* Queues all of it or nothing. False: the client has not read what was written before. */
bool http_stream_write(struct http_stream *s, const char *data, size_t n);
