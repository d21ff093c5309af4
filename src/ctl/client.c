/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define MAX_BODY ((size_t)64 * 1024 * 1024)
#define MAX_LINE ((size_t)1024 * 1024)
#define CONNECT_TIMEOUT_MS 5000L
/* A synchronisation waits for Docker, which may be slow with many containers. */
#define TIMEOUT_MS 60000L
#define FOLLOW_POLL_MS 60000

struct request {
	const struct ctl_options *o;
	CURL *curl;
	struct client_reply reply; /* of a document without end: the line that has begun */
	int (*on_line)(void *userdata, const char *line, size_t n); /* NULL: one document */
	void *userdata;
	int stopped; /* what on_line() returned */
};

static int append(struct client_reply *r, const char *data, size_t n, size_t max)
{
	char *body;

	if (n > max - r->n)
		return -EMSGSIZE;
	body = realloc(r->body, r->n + n + 1);
	if (!body)
		return -ENOMEM;
	memcpy(body + r->n, data, n);
	r->body = body;
	r->n += n;
	body[r->n] = '\0';
	return 0;
}

/* Whole lines are handed over; what is left waits for its end. */
static int split_lines(struct request *q)
{
	char *line = q->reply.body, *end = line + q->reply.n, *newline;

	while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
		*newline = '\0';
		q->stopped = q->on_line(q->userdata, line, (size_t)(newline - line));
		if (q->stopped != 0)
			return -ECANCELED;
		line = newline + 1;
	}
	q->reply.n = (size_t)(end - line);
	memmove(q->reply.body, line, q->reply.n + 1);
	return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
	struct request *q = userdata;
	long status = 0;

	(void)size; /* always 1 */
	(void)curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
	if (!q->on_line || status != 200)
		return append(&q->reply, data, n, MAX_BODY) < 0 ? 0 : n;
	if (append(&q->reply, data, n, MAX_LINE) < 0)
		return 0;
	return split_lines(q) < 0 ? 0 : n;
}

void client_reply_done(struct client_reply *r)
{
	free(r->body);
	*r = (struct client_reply){ 0 };
}

static const char *socket_path(const struct ctl_options *o)
{
	return o->control ? o->control : CTL_DEFAULT_CONTROL;
}

/* The daemon's socket, and what is the matter with it; unless nobody wants to know. */
_printf_(3, 4) static void complain(const struct ctl_options *o, const char *cure,
				    const char *format, ...)
{
	_cleanup_(freep) char *text = NULL, *safe_text = NULL, *safe_cure = NULL;
	va_list ap;

	if (o->quiet)
		return;
	va_start(ap, format);
	text = vformat_text(format, ap);
	va_end(ap);
	safe_text = text ? ctl_escape(text, "") : NULL;
	safe_cure = cure ? ctl_escape(cure, "") : NULL;
	ctl_error(safe_cure, "%s", safe_text ? safe_text : "out of memory");
}

static int explain_connect(const struct ctl_options *o, int error)
{
	const char *path = socket_path(o);

	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		complain(o,
			 "start it: systemctl start ipv6natd (or name its socket with --control)",
			 "no daemon behind %s: %s", path, strerror(error));
		return CTL_NO_DAEMON;
	case EACCES:
	case EPERM:
		complain(o, "run this as root (sudo) or as a member of the group ipv6nat",
			 "no permission to use %s", path);
		return CTL_FAILED;
	case EAGAIN:
		complain(o, "try again", "%s: the daemon is too busy to answer", path);
		return CTL_FAILED;
	default:
		complain(o, NULL, "cannot connect to %s: %s", path,
			 error > 0 ? strerror(error) : "unknown error");
		return CTL_FAILED;
	}
}

static int explain_transfer(const struct request *q, CURLcode code)
{
	const char *path = socket_path(q->o);
	long error = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(q->curl, CURLINFO_OS_ERRNO, &error);
		return explain_connect(q->o, (int)error);
	case CURLE_OPERATION_TIMEDOUT:
		complain(q->o, "see what it is waiting for: journalctl -u ipv6natd",
			 "%s: the daemon does not answer", path);
		return CTL_FAILED;
	default:
		complain(q->o, NULL, "%s: %s", path, curl_easy_strerror(code));
		return CTL_FAILED;
	}
}

/* The daemon answered, but not with 200. */
static int explain_answer(const struct request *q, long status)
{
	_cleanup_(freep) char *message = NULL, *cure = NULL;

	if (q->reply.n == 0 || api_json_error_read(q->reply.body, q->reply.n, &message, &cure) < 0)
		complain(q->o, "are ipv6natctl and ipv6natd of the same version?",
			 "the daemon answered with HTTP status %ld", status);
	else
		complain(q->o, cure, "%s", message);
	return CTL_FAILED;
}

static int prepare(struct request *q, const char *method, const char *path)
{
	CURL *curl = q->curl;
	char url[256];
	CURLcode code;

	snprintf(url, sizeof(url), "http://localhost%s", path);
	code = curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path(q->o));
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_URL, url);
	if (code == CURLE_OK && strcmp(method, "POST") == 0)
		code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	/* $http_proxy has nothing to say here */
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_PROXY, "");
	/* nor is SIGPIPE ignored, which ends us quietly when nobody reads what we print */
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	if (code == CURLE_OK && !q->on_line)
		code = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, q);
	return code == CURLE_OK ? 0 : -ENOMEM;
}

static int start(struct request *q, const char *method, const char *path)
{
	if (strlen(socket_path(q->o)) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		complain(q->o, NULL, "%s: the path is too long for a socket", socket_path(q->o));
		return CTL_FAILED;
	}
	if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK)
		q->curl = curl_easy_init();
	if (!q->curl || prepare(q, method, path) < 0) {
		complain(q->o, NULL, "cannot set up libcurl");
		return CTL_FAILED;
	}
	return CTL_OK;
}

static void done(struct request *q)
{
	curl_easy_cleanup(q->curl);
	client_reply_done(&q->reply);
}

int client_request(const struct ctl_options *o, const char *method, const char *path,
		   struct client_reply *ret)
{
	_cleanup_(done) struct request q = { .o = o };
	long status = 0;
	CURLcode code;
	int r;

	r = start(&q, method, path);
	if (r != CTL_OK)
		return r;
	code = curl_easy_perform(q.curl);
	if (code != CURLE_OK)
		return explain_transfer(&q, code);
	(void)curl_easy_getinfo(q.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return explain_answer(&q, status);
	/* the body may be missing: there is no plan yet, for example */
	if (append(&q.reply, "", 0, MAX_BODY) < 0) {
		ctl_error(NULL, "out of memory");
		return CTL_FAILED;
	}
	*ret = q.reply;
	q.reply = (struct client_reply){ 0 };
	return CTL_OK;
}

/* Nobody reads standard output any more; one who only writes now and then would never notice. */
static bool is_output_closed(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static CURLcode perform_following(CURLM *multi)
{
	/* Errors and hang-ups wake in any case. */
	struct curl_waitfd output = { .fd = STDOUT_FILENO, .events = CURL_WAIT_POLLPRI };
	CURLMsg *message;
	int n = 1;

	for (;;) {
		if (curl_multi_perform(multi, &n) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (n == 0)
			break;
		if (curl_multi_poll(multi, &output, 1, FOLLOW_POLL_MS, NULL) != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (is_output_closed()) {
			(void)raise(SIGPIPE);
			return CURLE_ABORTED_BY_CALLBACK; /* it is ignored */
		}
	}
	message = curl_multi_info_read(multi, &n);
	return message ? message->data.result : CURLE_FAILED_INIT;
}

int client_follow(const struct ctl_options *o, const char *path,
		  int (*on_line)(void *userdata, const char *line, size_t n), void *userdata)
{
	_cleanup_(done) struct request q = { .o = o, .on_line = on_line, .userdata = userdata };
	CURLM *multi = NULL;
	CURLcode code = CURLE_FAILED_INIT;
	long status = 0;
	int r;

	r = start(&q, "GET", path);
	if (r != CTL_OK)
		return r;
	multi = curl_multi_init();
	if (multi && curl_multi_add_handle(multi, q.curl) == CURLM_OK) {
		code = perform_following(multi);
		(void)curl_multi_remove_handle(multi, q.curl);
	}
	(void)curl_multi_cleanup(multi);
	if (q.stopped != 0)
		return q.stopped;
	(void)curl_easy_getinfo(q.curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return CTL_FAILED;
	if (status != 0 && status != 200)
		return explain_answer(&q, status);
	if (status == 0 || code == CURLE_WRITE_ERROR || code == CURLE_FAILED_INIT)
		return explain_transfer(&q, code);
	complain(o, "see what has become of it: systemctl status ipv6natd",
		 "the daemon has gone away from %s", socket_path(o));
	return CTL_NO_DAEMON;
}
