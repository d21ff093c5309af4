/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io/curl-glue.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Idle connections kept for the next request: a burst of inspects opens many more. */
#define IDLE_CONNECTIONS_MAX 8L
#define CONNECT_TIMEOUT_MS 10000L
#define KEEPALIVE_S 30L
/* What is kept of an answer other than 200 to a stream: its error message. */
#define STREAM_ERROR_MAX 65536
/* Complete lines, not handed out yet, may precede a half one: what libcurl reads at one go. */
#define STREAM_SLACK (4U << 20)

struct curl_request {
	struct curl_glue *glue;
	CURL *easy;
	struct curl_request_config config; /* without the path */
	char error_text[CURL_ERROR_SIZE];
	char api_version[16];
	int64_t date;
	long status;
	char *body;
	size_t length, allocated;
	size_t scanned; /* bytes of the body without a line's end */
	bool is_open;   /* on_open has been called */
	bool headers_complete;
	bool too_long;
};

struct curl_glue {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer, *kick;
	char *base_url, *unix_path, *cert_path;
	bool verify;
	size_t answer_max;
	struct curl_request *stream; /* the one with on_line; freeing it is seen by this */
};

/* ------------------------------------------------------------------------- event loop */

static void process(struct curl_glue *g);

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct curl_glue *g = userdata;
	int action = 0, n_running;

	(void)source;
	if (revents & (EPOLLIN | EPOLLHUP))
		action |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		action |= CURL_CSELECT_OUT;
	if (revents & EPOLLERR)
		action |= CURL_CSELECT_ERR;
	(void)curl_multi_socket_action(g->multi, fd, action, &n_running);
	process(g);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now_us, void *userdata)
{
	struct curl_glue *g = userdata;
	int n_running;

	(void)source;
	(void)now_us;
	(void)curl_multi_socket_action(g->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	process(g);
	return 0;
}

static int on_kick(sd_event_source *source, void *userdata)
{
	return on_timer(source, 0, userdata);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socketp)
{
	static const uint32_t events[] = {
		[CURL_POLL_NONE] = 0,
		[CURL_POLL_IN] = EPOLLIN,
		[CURL_POLL_OUT] = EPOLLOUT,
		[CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT,
	};
	sd_event_source *source = socketp;
	struct curl_glue *g = userdata;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		(void)curl_multi_assign(g->multi, fd, NULL);
		return 0;
	}
	if (source)
		return sd_event_source_set_io_events(source, events[what]) < 0 ? -1 : 0;
	if (sd_event_add_io(g->event, &source, fd, events[what], on_socket, g) < 0)
		return -1;
	(void)sd_event_source_set_description(source, "docker-connection");
	(void)curl_multi_assign(g->multi, fd, source);
	return 0;
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *userdata)
{
	struct curl_glue *g = userdata;

	(void)multi;
	/* "Now" needs no clock: it is on every request's way. */
	(void)sd_event_source_set_enabled(g->kick,
					  timeout_ms == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
	if (timeout_ms <= 0)
		return 0;
	if (sd_event_source_set_time_relative(g->timer, (uint64_t)timeout_ms * 1000) < 0)
		return -1;
	return sd_event_source_set_enabled(g->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* --------------------------------------------------------------------------- an answer */

static size_t on_header(char *text, size_t size, size_t n, void *userdata)
{
	struct curl_request *r = userdata;
	size_t length = size * n;
	char line[256];

	if (length <= 2) { /* the empty line */
		(void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &r->status);
		r->headers_complete = r->status >= 200;
		return length;
	}
	(void)snprintf(line, sizeof(line), "%.*s", (int)MIN_OF(length, sizeof(line) - 1), text);
	line[strcspn(line, "\r\n")] = '\0';
	if (strncasecmp(line, "Api-Version:", 12) == 0)
		(void)snprintf(r->api_version, sizeof(r->api_version), "%.15s",
			       line + 12 + strspn(line + 12, " \t"));
	else if (strncasecmp(line, "Date:", 5) == 0)
		r->date = MAX_OF(curl_getdate(line + 5, NULL), 0);
	return length;
}

static bool is_stream(const struct curl_request *r)
{
	return r->config.on_line && r->status == 200;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata)
{
	struct curl_request *r = userdata;
	size_t length = size * n, need = r->length + length;
	size_t max = r->config.on_line && !is_stream(r) ? STREAM_ERROR_MAX : r->glue->answer_max;

	if (is_stream(r))
		max += STREAM_SLACK;
	if (need > max) {
		r->too_long = true;
		return 0;
	}
	if (need > r->allocated) {
		size_t to = MAX_OF(need, r->allocated * 2);
		char *p = realloc(r->body, to);

		if (!p)
			return 0;
		r->body = p;
		r->allocated = to;
	}
	memcpy(r->body + r->length, data, length);
	r->length = need;
	return length;
}

/* Hands out the complete lines. A callback may free the stream, which ends this. */
static void deliver_lines(struct curl_glue *g)
{
	struct curl_request *r = g->stream;
	size_t begin = 0;
	char *end;

	while ((end = memchr(r->body + r->scanned, '\n', r->length - r->scanned))) {
		char *line = r->body + begin;
		size_t length = (size_t)(end - line);

		begin += length + 1;
		r->scanned = begin;
		if (length && line[length - 1] == '\r')
			length--;
		if (!length)
			continue;
		r->config.on_line(r->config.userdata, line, length);
		if (g->stream != r)
			return;
	}
	r->length -= begin;
	memmove(r->body, r->body + begin, r->length);
	r->scanned = r->length;
}

static void process_stream(struct curl_glue *g)
{
	struct curl_request *r = g->stream;

	if (!r || !r->headers_complete || !is_stream(r))
		return;
	if (!r->is_open) {
		r->is_open = true;
		r->config.on_open(r->config.userdata);
		if (g->stream != r)
			return;
	}
	if (r->length > r->scanned)
		deliver_lines(g);
}

/* What went wrong, as an errno: the caller decides by it, the text is for people. */
static int request_error(struct curl_request *r, CURLcode code)
{
	long os_error = 0;

	if (r->too_long)
		return -E2BIG;
	(void)curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &os_error);
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		return os_error > 0 ? -(int)os_error : -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		/* TLS 1.3: what the server thinks of our certificate comes after the handshake. */
		return strstr(r->error_text, "alert") ? -EKEYREJECTED : -ECONNRESET;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
		return -ECONNRESET;
	case CURLE_OUT_OF_MEMORY:
	case CURLE_WRITE_ERROR:
		return -ENOMEM;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EPROTO;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	default:
		return -EIO;
	}
}

static void finish(struct curl_glue *g, CURL *easy, CURLcode code)
{
	struct curl_request *r = NULL;
	struct curl_answer answer;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&r);
	(void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &r->status);
	answer = (struct curl_answer){
		.error = request_error(r, code),
		.error_text = *r->error_text ? r->error_text : curl_easy_strerror(code),
		.status = r->status,
		.body = r->body ? r->body : "",
		.length = r->length,
		.api_version = r->api_version,
		.date = r->date,
	};
	(void)curl_multi_remove_handle(g->multi, easy);
	r->config.on_done(r->config.userdata, &answer);
}

/* After libcurl has worked, and outside of it: hand out what it has got. */
static void process(struct curl_glue *g)
{
	CURLMsg *message;
	int n_left;

	process_stream(g);
	while ((message = curl_multi_info_read(g->multi, &n_left))) {
		/* What came before the end: libcurl may report both at one go. */
		if (message->msg == CURLMSG_DONE)
			finish(g, message->easy_handle, message->data.result);
	}
}

/* ------------------------------------------------------------------------ requests */

/* libcurl of today would leave its sockets open in programs that we start. */
static curl_socket_t open_socket(void *userdata, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	(void)userdata;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode set_tls(struct curl_request *r, const char *cert_path, bool verify)
{
	static const struct {
		const char *name;
		CURLoption option;
	} files[] = {
		{ "ca.pem", CURLOPT_CAINFO },
		{ "cert.pem", CURLOPT_SSLCERT },
		{ "key.pem", CURLOPT_SSLKEY },
	};
	CURLcode code;

	code = curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYPEER, (long)verify);
	if (code == CURLE_OK)
		code = curl_easy_setopt(r->easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
	for (size_t i = 0; cert_path && code == CURLE_OK && i < N_ELEMENTS(files); i++) {
		_cleanup_(freep) char *path = NULL;

		if (asprintf(&path, "%s/%s", cert_path, files[i].name) < 0) {
			path = NULL;
			return CURLE_OUT_OF_MEMORY;
		}
		/* A server's certificate may be public, a client's may not be asked for. */
		if (access(path, F_OK) == 0 || i == 0)
			code = curl_easy_setopt(r->easy, files[i].option, path);
	}
	return code;
}

#define SET(option, value)                                                \
	do {                                                              \
		CURLcode set_ = curl_easy_setopt(r->easy, option, value); \
		if (set_ != CURLE_OK)                                     \
			return set_;                                      \
	} while (0)

/* No limit on a request's time unless asked for, and none on silence: an inspect waits for the
 * container's start, the event stream for ever, and a socket held by systemd for the engine. */
static CURLcode set_options(struct curl_request *r, const char *url)
{
	const struct curl_glue *g = r->glue;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_PRIVATE, (char *)r);
	SET(CURLOPT_ERRORBUFFER, r->error_text);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
#if LIBCURL_VERSION_NUM >= 0x075500
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	SET(CURLOPT_PROXY, ""); /* none of the environment's */
	SET(CURLOPT_USERAGENT, "ipv6natd/" IPV6NAT_VERSION);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, r);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, r);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	if (r->config.timeout_us)
		SET(CURLOPT_TIMEOUT_MS, (long)(r->config.timeout_us / 1000));
	if (g->unix_path) {
		SET(CURLOPT_UNIX_SOCKET_PATH, g->unix_path);
		return CURLE_OK;
	}
	/* Nothing else would tell that a remote engine has gone without a word. */
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S);
	SET(CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S / 3);
	return set_tls(r, g->cert_path, g->verify);
}

int curl_request_new(struct curl_glue *g, const struct curl_request_config *config,
		     struct curl_request **ret)
{
	_cleanup_(curl_request_freep) struct curl_request *r = NULL;
	_cleanup_(freep) char *url = NULL;

	if (config->on_line && g->stream)
		return -EBUSY;
	if (asprintf(&url, "%s%s", g->base_url, config->path) < 0) {
		url = NULL;
		return -ENOMEM;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->glue = g;
	r->config = *config;
	r->config.path = NULL; /* the caller's */
	r->easy = curl_easy_init();
	if (!r->easy || set_options(r, url) != CURLE_OK)
		return -ENOMEM;
	if (curl_multi_add_handle(g->multi, r->easy) != CURLM_OK)
		return -ENOMEM;
	if (config->on_line)
		g->stream = r;
	*ret = steal_ptr(&r);
	return 0;
}

struct curl_request *curl_request_free(struct curl_request *r)
{
	if (!r)
		return NULL;
	if (r->glue->stream == r)
		r->glue->stream = NULL;
	if (r->easy) {
		(void)curl_multi_remove_handle(r->glue->multi, r->easy);
		curl_easy_cleanup(r->easy);
	}
	free(r->body);
	free(r);
	return NULL;
}

/* ---------------------------------------------------------------------------- the glue */

static int add_sources(struct curl_glue *g)
{
	int r;

	/* Accuracy 1 us: libcurl's times are short, and rounding them would only add delay. */
	r = sd_event_add_time_relative(g->event, &g->timer, CLOCK_MONOTONIC, 0, 1, on_timer, g);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	r = sd_event_add_defer(g->event, &g->kick, on_kick, g);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(g->kick, SD_EVENT_OFF);
}

static int set_multi(struct curl_glue *g)
{
	g->multi = curl_multi_init();
	if (!g->multi ||
	    curl_multi_setopt(g->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted) != CURLM_OK ||
	    curl_multi_setopt(g->multi, CURLMOPT_SOCKETDATA, g) != CURLM_OK ||
	    curl_multi_setopt(g->multi, CURLMOPT_TIMERFUNCTION, timer_wanted) != CURLM_OK ||
	    curl_multi_setopt(g->multi, CURLMOPT_TIMERDATA, g) != CURLM_OK ||
	    curl_multi_setopt(g->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS_MAX) != CURLM_OK)
		return -ENOMEM;
	return 0;
}

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

int curl_glue_new(sd_event *event, const struct curl_glue_config *config, struct curl_glue **ret)
{
	_cleanup_(curl_glue_freep) struct curl_glue *g = NULL;
	int r;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	g = calloc(1, sizeof(*g));
	if (!g) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	g->event = sd_event_ref(event);
	g->verify = config->verify;
	g->answer_max = config->answer_max;
	r = copy_text(config->base_url, &g->base_url);
	if (r == 0)
		r = copy_text(config->unix_path, &g->unix_path);
	if (r == 0)
		r = copy_text(config->cert_path, &g->cert_path);
	if (r == 0)
		r = add_sources(g);
	if (r >= 0)
		r = set_multi(g);
	if (r < 0)
		return r;
	*ret = steal_ptr(&g);
	return 0;
}

struct curl_glue *curl_glue_free(struct curl_glue *g)
{
	if (!g)
		return NULL;
	if (g->multi)
		(void)curl_multi_cleanup(g->multi);
	sd_event_source_disable_unref(g->timer);
	sd_event_source_disable_unref(g->kick);
	sd_event_unref(g->event);
	free(g->base_url);
	free(g->unix_path);
	free(g->cert_path);
	free(g);
	curl_global_cleanup();
	return NULL;
}
