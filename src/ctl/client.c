/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define MAX_BODY ((size_t)64 * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 5000L
/* A synchronisation waits for Docker, which may be slow with many containers. */
#define TIMEOUT_MS 60000L

static size_t on_data(char *data, size_t size, size_t n, void *userdata)
{
	struct client_reply *r = userdata;
	char *body;

	(void)size; /* always 1 */
	if (n > MAX_BODY - r->n)
		return 0;
	body = realloc(r->body, r->n + n + 1);
	if (!body)
		return 0;
	memcpy(body + r->n, data, n);
	r->body = body;
	r->n += n;
	body[r->n] = '\0';
	return n;
}

void client_reply_done(struct client_reply *r)
{
	free(r->body);
	*r = (struct client_reply){ 0 };
}

static int explain_connect(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		ctl_error("start it: systemctl start ipv6natd (or name its socket with --control)",
			  "no daemon behind %s: %s", path, strerror(error));
		return CTL_NO_DAEMON;
	case EACCES:
	case EPERM:
		ctl_error("run this as root or as a member of the group ipv6nat",
			  "no permission to use %s", path);
		return CTL_FAILED;
	case EAGAIN:
		ctl_error("try again", "%s: the daemon is too busy to answer", path);
		return CTL_FAILED;
	default:
		ctl_error(NULL, "cannot connect to %s: %s", path,
			  error > 0 ? strerror(error) : "unknown error");
		return CTL_FAILED;
	}
}

static int explain_transfer(CURL *curl, CURLcode code, const char *path)
{
	long error = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
		return explain_connect(path, (int)error);
	case CURLE_OPERATION_TIMEDOUT:
		ctl_error("see what it is waiting for: journalctl -u ipv6natd",
			  "%s: the daemon does not answer", path);
		return CTL_FAILED;
	default:
		ctl_error(NULL, "%s: %s", path, curl_easy_strerror(code));
		return CTL_FAILED;
	}
}

/* The daemon answered, but not with 200. */
static int explain_answer(long status, const struct client_reply *r)
{
	_cleanup_(freep) char *message = NULL, *cure = NULL;
	_cleanup_(freep) char *safe_message = NULL, *safe_cure = NULL;

	if (r->n == 0 || api_json_error_read(r->body, r->n, &message, &cure) < 0) {
		ctl_error("are ipv6natctl and ipv6natd of the same version?",
			  "the daemon answered with HTTP status %ld", status);
		return CTL_FAILED;
	}
	safe_message = ctl_escape(message, "");
	safe_cure = ctl_escape(cure, "");
	ctl_error(safe_cure, "%s", safe_message ? safe_message : "out of memory");
	return CTL_FAILED;
}

static int prepare(CURL *curl, const struct ctl_options *o, const char *method, const char *path,
		   struct client_reply *reply)
{
	char url[256];
	CURLcode code = CURLE_OK;

	snprintf(url, sizeof(url), "http://localhost%s", path);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, o->control);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_URL, url);
	if (code == CURLE_OK && strcmp(method, "POST") == 0)
		code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	/* $http_proxy has nothing to say here */
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
	return code == CURLE_OK ? 0 : -ENOMEM;
}

int client_request(const struct ctl_options *o, const char *method, const char *path,
		   struct client_reply *ret)
{
	struct client_reply reply = { 0 };
	CURL *curl = NULL;
	CURLcode code;
	long status = 0;
	int r = CTL_OK;

	if (strlen(o->control) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		ctl_error(NULL, "%s: the path is too long for a socket", o->control);
		return CTL_FAILED;
	}
	if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK)
		curl = curl_easy_init();
	if (!curl || prepare(curl, o, method, path, &reply) < 0) {
		ctl_error(NULL, "cannot set up libcurl");
		curl_easy_cleanup(curl);
		return CTL_FAILED;
	}
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		r = explain_transfer(curl, code, o->control);
	else
		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status != 200)
		r = explain_answer(status, &reply);
	curl_easy_cleanup(curl);
	if (r == CTL_OK && !reply.body)
		reply.body = strdup(""); /* there is no plan yet, for example */
	if (r == CTL_OK && !reply.body) {
		ctl_error(NULL, "out of memory");
		r = CTL_FAILED;
	}
	if (r != CTL_OK) {
		client_reply_done(&reply);
		return r;
	}
	*ret = reply;
	return CTL_OK;
}
