/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "http-server-internal.h"
#include "wire/api-json.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define DEFAULT_MAX_CLIENTS 64
#define DEFAULT_IDLE_TIMEOUT_S 10
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
	char *path;
	dev_t device; /* of our socket: another daemon's is not ours to remove */
	ino_t inode;
	bool bound;
};

/* Freed when libmicrohttpd is through with it and no handler holds it any more. */
struct http_request {
	struct http_server *server; /* NULL: gone while the handler held the request */
	struct MHD_Connection *connection;
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

/* The listening socket */

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
	return mkdir(directory, 0755) < 0 && errno != EEXIST ? -errno : 0;
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

static int listen_at(struct http_server *s, const char *group, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;
	struct stat st;
	mode_t mask;
	int r;

	if (strlen(s->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, s->path, strlen(s->path) + 1);
	r = make_directory(s->path);
	if (r < 0)
		return r;
	r = peer_answers(s->path, &address);
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
	if (lstat(s->path, &st) < 0)
		return -errno;
	s->device = st.st_dev;
	s->inode = st.st_ino;
	s->bound = true;
	open_to_group(s->path, st.st_gid, group);
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
	r->completed = true;
	r->connection = NULL;
	request_unref(r);
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
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
				  on_access, s, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listen_fd,
				  MHD_OPTION_CONNECTION_LIMIT, s->config.max_clients,
				  MHD_OPTION_CONNECTION_TIMEOUT, s->config.idle_timeout_s,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
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
	s->config.path = s->config.group = NULL; /* the caller's, and not needed any more */
	if (s->config.max_clients == 0)
		s->config.max_clients = DEFAULT_MAX_CLIENTS;
	if (s->config.idle_timeout_s == 0)
		s->config.idle_timeout_s = DEFAULT_IDLE_TIMEOUT_S;
	if (s->config.max_body == 0)
		s->config.max_body = DEFAULT_MAX_BODY;
	s->path = strdup(config->path);
	if (!s->path)
		return log_oom();

	r = listen_at(s, config->group, &fd);
	if (r < 0)
		return log_listen_error(r, s->path);
	/* From here on the socket is libmicrohttpd's, which closes it on failure, too. */
	r = start(s, fd);
	if (r == 0)
		r = attach(s, event);
	if (r < 0)
		return log_error_errno(r, "%s: cannot serve HTTP: %m", s->path);
	*ret = steal_ptr(&s);
	return 0;
}

static void remove_socket(const struct http_server *s)
{
	struct stat st;

	if (s->bound && lstat(s->path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode)
		(void)unlink(s->path);
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
	remove_socket(s);
	free(s->path);
	free(s);
	return NULL;
}
