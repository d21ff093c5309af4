/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "http-server-internal.h"
#include "wire/api-json.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define DEFAULT_MAX_CLIENTS 64
#define DEFAULT_IDLE_TIMEOUT_S 10
#define DEFAULT_REQUEST_TIMEOUT_S 15
#define DEFAULT_MAX_BODY 4096
/* Headers and libmicrohttpd's own state of one connection. */
#define CONNECTION_MEMORY ((size_t)16 * 1024)
/* A body that is too large is read and dropped up to here, so that the client sees our answer. */
#define MAX_DROPPED ((size_t)64 * 1024)

#define JSON "application/json"
#define NO_MEMORY "{\"error\":\"out of memory\",\"cure\":\"\"}\n"

LIST_HEAD(request_list, http_request);

struct http_server {
	struct MHD_Daemon *mhd;
	sd_event_source *io;
	sd_event_source *timer;
	struct http_server_config config;
	void *userdata;
	struct request_list held;
	struct http_streams streams;
	struct http_clients clients;
	struct http_socket socket;
};

/* Freed when libmicrohttpd is through with it and no handler holds it any more. */
struct http_request {
	struct http_server *server; /* NULL: gone while the handler held the request */
	struct MHD_Connection *connection;
	struct http_client *client;
	const struct http_route *route;
	LIST_ENTRY(http_request) list; /* while held */
	char *body;
	size_t n_body;
	size_t n_dropped;
	bool held;        /* a handler owes the answer */
	bool dispatching; /* ... and has not returned yet */
	bool suspended;
	bool completed; /* libmicrohttpd knows it no longer */
	struct MHD_Response *response;
	struct http_stream *stream; /* the response goes on */
	unsigned status;
};

/* Requests and answers */

static void request_unref(struct http_request *r)
{
	if (r->held || !r->completed)
		return;
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->body);
	free(r);
}

static struct MHD_Response *make_response(const char *content_type, char *body)
{
	struct MHD_Response *response;

	if (body)
		response =
			MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	else
		response = MHD_create_response_from_buffer(
			strlen(NO_MEMORY), (void *)(uintptr_t)NO_MEMORY, MHD_RESPMEM_PERSISTENT);
	if (!response) {
		free(body);
		return NULL;
	}
	(void)MHD_add_response_header(response, "Content-Type", body ? content_type : JSON);
	(void)MHD_add_response_header(response, "Cache-Control", "no-store");
	return response;
}

void http_server_kick(struct http_server *s)
{
	(void)sd_event_source_set_time(s->timer, 0);
	(void)sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

void http_reply(struct http_request *r, unsigned status, const char *content_type, char *body)
{
	assert(r->held);

	r->held = false;
	if (!r->server) {
		free(body);
		request_unref(r);
		return;
	}
	LIST_REMOVE(r, list);
	http_client_hurry(r->client);
	r->status = body ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
	r->response = make_response(content_type, body);
	if (r->dispatching)
		return;
	assert(r->suspended);
	r->suspended = false;
	MHD_resume_connection(r->connection);
	http_server_kick(r->server);
}

void http_reply_error(struct http_request *r, unsigned status, const char *message,
		      const char *cure)
{
	char *body = NULL;

	if (api_json_error(message, cure, &body) < 0)
		body = NULL;
	http_reply(r, status, JSON, body);
}

int http_reply_stream(struct http_request *r, const char *content_type,
		      const struct http_stream_callbacks *callbacks, void *userdata,
		      struct http_stream **ret)
{
	assert(r->held && r->dispatching);

	r->response = http_stream_new(r->server, sd_event_source_get_event(r->server->timer),
				      r->connection, &r->server->streams, callbacks, userdata,
				      &r->stream);
	if (!r->response)
		return -ENOMEM;
	(void)MHD_add_response_header(r->response, "Content-Type", content_type);
	(void)MHD_add_response_header(r->response, "Cache-Control", "no-store");
	LIST_REMOVE(r, list);
	r->held = false;
	r->status = MHD_HTTP_OK;
	*ret = r->stream;
	return 0;
}

const char *http_request_body(const struct http_request *r)
{
	return r->body ? r->body : "";
}

/* Without memory the connection is closed unanswered. */
static enum MHD_Result send_response(struct http_request *r)
{
	if (!r->response)
		return MHD_NO;
	return MHD_queue_response(r->connection, r->status, r->response);
}

static enum MHD_Result refuse(struct http_request *r, unsigned status, const char *message,
			      const char *cure)
{
	char *body = NULL;

	if (api_json_error(message, cure, &body) < 0)
		body = NULL;
	r->status = body ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
	r->response = make_response(JSON, body);
	return send_response(r);
}

static bool peer_is_root(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return info && getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       peer.uid == 0;
}

static bool is_read_only(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

/* Headers are here: decides whether the request is worth its body. */
static enum MHD_Result begin_request(struct http_request *r, const char *method, const char *path)
{
	const struct http_server_config *c = &r->server->config;
	const char *wanted =
		strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ? MHD_HTTP_METHOD_GET : method;
	bool known = false;

	for (size_t i = 0; i < c->n_routes; i++) {
		if (strcmp(c->routes[i].path, path) != 0)
			continue;
		known = true;
		if (strcmp(c->routes[i].method, wanted) == 0)
			r->route = &c->routes[i];
	}
	if (!known)
		return refuse(r, MHD_HTTP_NOT_FOUND, "there is nothing at this path", "");
	if (!r->route)
		return refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, "this path takes another method", "");
	if (!is_read_only(method) && !peer_is_root(r->connection))
		return refuse(r, MHD_HTTP_FORBIDDEN, "only root may change something",
			      "run the command as root");
	return MHD_YES;
}

static enum MHD_Result add_body(struct http_request *r, const char *data, size_t *n)
{
	size_t room = r->server->config.max_body - r->n_body;

	if (r->n_dropped > 0 || *n > room) {
		r->n_dropped += *n;
		*n = 0;
		return r->n_dropped > MAX_DROPPED ? MHD_NO : MHD_YES;
	}
	if (!r->body) {
		r->body = malloc(r->server->config.max_body + 1);
		if (!r->body)
			return MHD_NO;
	}
	memcpy(r->body + r->n_body, data, *n);
	r->n_body += *n;
	r->body[r->n_body] = '\0';
	*n = 0;
	return MHD_YES;
}

static enum MHD_Result dispatch(struct http_request *r)
{
	if (r->n_dropped > 0)
		return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, "the request's body is too large", "");

	http_client_rest(r->client);
	r->held = true;
	r->dispatching = true;
	LIST_INSERT_HEAD(&r->server->held, r, list);
	r->route->handler(r->server->userdata, r);
	r->dispatching = false;
	if (!r->held)
		return send_response(r);

	r->suspended = true;
	MHD_suspend_connection(r->connection);
	return MHD_YES;
}

/*
 * libmicrohttpd calls this when the headers are read, for each piece of the body, at its end, and
 * again after a suspended connection is resumed.
 */
static enum MHD_Result on_access(void *userdata, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *n_data, void **state)
{
	struct http_request *r = *state;

	(void)version;
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return MHD_NO;
		r->server = userdata;
		r->connection = connection;
		r->client = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
				    ->socket_context;
		*state = r;
		return begin_request(r, method, url);
	}
	if (*n_data > 0)
		return add_body(r, data, n_data);
	return r->response || r->held ? send_response(r) : dispatch(r);
}

static void on_completed(void *userdata, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct http_request *r = *state;

	(void)userdata;
	(void)connection;
	(void)how;
	if (!r)
		return;
	*state = NULL;
	if (r->stream)
		http_stream_closed(r->stream);
	http_client_hurry(r->client);
	r->completed = true;
	r->connection = NULL;
	request_unref(r);
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = userdata;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		*state = http_client_new(
			&s->clients,
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				->connect_fd);
	else
		http_client_free(*state);
}

/* The event loop */

static unsigned count_clients(const struct http_server *s)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info ? info->num_connections : 0;
}

static int run(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	unsigned n_before = count_clients(s);
	bool again;
	uint64_t now_us;

	(void)MHD_run(s->mhd);
	/*
	 * At its limit libmicrohttpd takes the listening socket out of its epoll set, and looks
	 * whether it may be put back only when it begins to run: so it must run once more after
	 * somebody has left, or those in the backlog would wait for ever.
	 */
	again = count_clients(s) < n_before;
	if (!again && MHD_get_timeout(s->mhd, &timeout_ms) != MHD_YES)
		return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
	if (again || timeout_ms == 0) {
		http_server_kick(s);
		return 0;
	}
	(void)sd_event_now(sd_event_source_get_event(s->timer), CLOCK_MONOTONIC, &now_us);
	(void)sd_event_source_set_time(s->timer, now_us + timeout_ms * 1000);
	return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	(void)run(userdata);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	(void)run(userdata);
	return 0;
}

static int attach(struct http_server *s, sd_event *event)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	if (!info)
		return -EOPNOTSUPP;
	r = sd_event_add_io(event, &s->io, info->epoll_fd, EPOLLIN, on_io, s);
	if (r < 0)
		return r;
	r = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer, s);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(s->io, "http");
	(void)sd_event_source_set_description(s->timer, "http-timeout");
	return sd_event_source_set_enabled(s->timer, SD_EVENT_OFF);
}

static int start(struct http_server *s, int listen_fd)
{
	errno = 0;
	s->mhd = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, s,
		MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listen_fd, MHD_OPTION_CONNECTION_LIMIT,
		s->config.max_clients, MHD_OPTION_CONNECTION_TIMEOUT, s->config.idle_timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
	if (!s->mhd)
		return errno > 0 ? -errno : -EIO;
	return 0;
}

int http_server_new(sd_event *event, const struct http_server_config *config, void *userdata,
		    struct http_server **ret)
{
	_cleanup_(http_server_freep) struct http_server *s = calloc(1, sizeof(*s));
	int fd = -1, r;

	if (!s)
		return log_oom();
	s->userdata = userdata;
	s->config = *config;
	/* the caller's, and not needed any more */
	s->config.path = s->config.group = s->config.address = NULL;
	if (s->config.max_clients == 0)
		s->config.max_clients = DEFAULT_MAX_CLIENTS;
	if (s->config.idle_timeout_s == 0)
		s->config.idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S;
	if (s->config.request_timeout_s == 0)
		s->config.request_timeout_s = DEFAULT_REQUEST_TIMEOUT_S;
	if (s->config.max_body == 0)
		s->config.max_body = DEFAULT_MAX_BODY;

	r = http_server_listen(&s->socket, config, &fd);
	if (r < 0)
		return r;
	/* From here on the socket is libmicrohttpd's, which closes it on failure, too. */
	r = start(s, fd);
	if (r == 0)
		r = attach(s, event);
	if (r == 0)
		r = http_clients_init(&s->clients, event, s->config.request_timeout_s);
	if (r < 0)
		return log_error_errno(r, "%s: cannot serve HTTP: %m", s->socket.name);
	*ret = steal_ptr(&s);
	return 0;
}

struct http_server *http_server_free(struct http_server *s)
{
	struct http_stream *stream;
	struct http_request *r;

	if (!s)
		return NULL;
	/* libmicrohttpd aborts if it is stopped with suspended connections. */
	while ((r = LIST_FIRST(&s->held))) {
		LIST_REMOVE(r, list);
		r->server = NULL;
		r->suspended = false;
		MHD_resume_connection(r->connection);
	}
	LIST_FOREACH(stream, &s->streams, list)
	http_stream_end(stream);
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->timer);
	if (s->mhd)
		MHD_stop_daemon(s->mhd);
	http_clients_done(&s->clients);
	http_server_unlisten(&s->socket);
	free(s);
	return NULL;
}
