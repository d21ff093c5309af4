/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real server on a real socket; clients are forked children, so nothing is simulated. */
#include "daemon/control.h"
#include "io/http-server.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

/* In the children, where cmocka's asserts would tell nobody. */
#define require(x)                                                                      \
	do {                                                                            \
		if (!(x)) {                                                             \
			fprintf(stderr, "%s:%d: client: %s\n", __FILE__, __LINE__, #x); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

struct world {
	char directory[32];
	char path[64];
	sd_event *event;
	struct http_server *server;
	struct http_request *kept;
	struct control *control;
	unsigned handled;
	clock_t spent; /* of the CPU, by the longest turn of the event loop */
	unsigned turns;
	struct http_stream *stream;
	unsigned closed, drained, written, refused;
};

static void on_hello(void *userdata, struct http_request *r)
{
	struct world *w = userdata;

	w->handled++;
	http_reply(r, 200, "text/plain", strdup("hello"));
}

static void on_echo(void *userdata, struct http_request *r)
{
	(void)userdata;
	http_reply(r, 200, "text/plain", strdup(http_request_body(r)));
}

static void on_keep(void *userdata, struct http_request *r)
{
	struct world *w = userdata;

	assert_null(w->kept);
	w->kept = r;
}

static void on_release(void *userdata, struct http_request *r)
{
	struct world *w = userdata;

	if (w->kept)
		http_reply(steal_ptr(&w->kept), 200, "text/plain", strdup("late"));
	http_reply(r, 200, "text/plain", strdup("released"));
}

static void on_large(void *userdata, struct http_request *r)
{
	char *body = malloc(4 * 1024 * 1024 + 1);

	(void)userdata;
	assert_non_null(body);
	memset(body, 'x', 4 * 1024 * 1024);
	body[4 * 1024 * 1024] = '\0';
	http_reply(r, 200, "text/plain", body);
}

#define LINE_LENGTH 1000

static void write_lines(struct world *w, unsigned n)
{
	char line[LINE_LENGTH + 1];

	for (; n > 0; n--) {
		snprintf(line, sizeof(line), "%*u\n", LINE_LENGTH - 1, w->written);
		if (w->stream && http_stream_write(w->stream, line, LINE_LENGTH))
			w->written++;
		else
			w->refused++;
	}
}

static void on_drained(void *userdata)
{
	((struct world *)userdata)->drained++;
}

static void on_closed(void *userdata)
{
	struct world *w = userdata;

	w->stream = NULL;
	w->closed++;
}

static void on_follow(void *userdata, struct http_request *r)
{
	static const struct http_stream_callbacks callbacks = { on_drained, on_closed };
	struct world *w = userdata;

	assert_null(w->stream);
	assert_int_equal(http_reply_stream(r, "text/plain", &callbacks, w, &w->stream), 0);
	assert_true(http_stream_write(w->stream, "hello\n", 6));
}

static void on_write(void *userdata, struct http_request *r)
{
	write_lines(userdata, 1);
	http_reply(r, 200, "text/plain", strdup("written"));
}

static void on_count(void *userdata, struct http_request *r)
{
	const struct world *w = userdata;
	char *body = NULL;

	http_reply(r, 200, "text/plain", asprintf(&body, "closed %u", w->closed) < 0 ? NULL : body);
}

static void on_flood(void *userdata, struct http_request *r)
{
	write_lines(userdata, 1000);
	http_reply(r, 200, "text/plain", strdup("flooded"));
}

static const struct http_route routes[] = {
	{ "GET", "/hello", on_hello },  { "POST", "/echo", on_echo },
	{ "GET", "/keep", on_keep },    { "GET", "/release", on_release },
	{ "GET", "/large", on_large },  { "GET", "/follow", on_follow },
	{ "GET", "/write", on_write },  { "GET", "/flood", on_flood },
	{ "GET", "/closed", on_count },
};

static struct http_server_config make_config(const struct world *w)
{
	return (struct http_server_config){
		.path = w->path,
		.routes = routes,
		.n_routes = N_ELEMENTS(routes),
		.max_clients = 16,
		.idle_timeout_s = 1,
		.request_timeout_s = 2,
	};
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct http_server_config config;

	if (!w)
		return -1;
	(void)umask(0077); /* a service's, and no reason to shut the socket's group out */
	strcpy(w->directory, "/tmp/test-http-XXXXXX");
	if (!mkdtemp(w->directory) || chmod(w->directory, 0755) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/run/control.sock", w->directory);
	if (sd_event_new(&w->event) < 0)
		return -1;
	config = make_config(w);
	if (http_server_new(w->event, &config, w, &w->server) < 0)
		return -1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct stat st;
	char directory[64];

	w->server = http_server_free(w->server);
	if (w->kept)
		http_reply(w->kept, 200, "text/plain", strdup("nobody is left"));
	sd_event_unref(w->event);
	if (lstat(w->path, &st) == 0)
		return -1; /* the socket goes with the server */
	snprintf(directory, sizeof(directory), "%s/run", w->directory);
	(void)rmdir(directory);
	(void)rmdir(w->directory);
	free(w);
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void turn(struct world *w, uint64_t timeout_us)
{
	int r = sd_event_prepare(w->event);
	clock_t start;

	if (r == 0)
		r = sd_event_wait(w->event, timeout_us);
	start = clock();
	w->turns++;
	if (r > 0)
		r = sd_event_dispatch(w->event);
	assert_true(r >= 0);
	w->spent = MAX_OF(w->spent, clock() - start);
}

/* Runs the client in a child and the server here, until the client is through. */
static void run_client(struct world *w, void (*client)(const struct world *))
{
	uint64_t start = now_us();
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		client(w);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		turn(w, 10000);
		assert_true(now_us() - start < 30 * 1000000ull);
	}
	assert_int_equal(status, 0);
}

static int dial(const struct world *w)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(fd >= 0);
	strcpy(address.sun_path, w->path);
	require(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

static void say(int fd, const char *text)
{
	require(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Reads until "until" has come (NULL: until the end). Returns what there is. */
static const char *hear(int fd, const char *until)
{
	static char buffer[64 * 1024];
	size_t n = 0;
	ssize_t got;

	buffer[0] = '\0';
	while (!until || !strstr(buffer, until)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		require(poll(&p, 1, 10000) == 1);
		got = recv(fd, buffer + n, sizeof(buffer) - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		buffer[n] = '\0';
	}
	return buffer;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define ANSWERS(fd, what) require(strstr(hear(fd, what), what))

static void ask(int fd, const char *request, const char *answer)
{
	say(fd, request);
	require(strstr(hear(fd, answer), answer));
}

static void client_simple(const struct world *w)
{
	int fd = dial(w);

	for (int i = 0; i < 3; i++) { /* kept alive */
		say(fd, GET("/hello"));
		ANSWERS(fd, "\r\n\r\nhello");
	}
	say(fd, GET("/hello?x=1"));
	ANSWERS(fd, "\r\n\r\nhello");
	say(fd, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ANSWERS(fd, "Content-Length: 5\r\n");
	say(fd, GET("/nothing"));
	ANSWERS(fd, "404 Not Found");
	fd = dial(w);
	say(fd, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	ANSWERS(fd, "405 Method Not Allowed");
	if (geteuid() != 0) /* who may not change anything */
		return;
	fd = dial(w);
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab");
	say(fd, "cd");
	ANSWERS(fd, "\r\n\r\nabcd");
}

static void test_simple(void **state)
{
	struct world *w = *state;
	struct stat st;

	assert_int_equal(lstat(w->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600); /* no group asked for */
	run_client(w, client_simple);
	assert_true(w->handled >= 4);
}

static void client_large(const struct world *w)
{
	static char buffer[65536];
	size_t n = 0;
	int fd = dial(w);
	ssize_t got;

	say(fd, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		n += (size_t)got;
	require(n > 4 * 1024 * 1024);
}

/* An answer much larger than the socket's buffer arrives whole. */
static void test_large(void **state)
{
	run_client(*state, client_large);
}

static void client_oversized(const struct world *w)
{
	static char blob[100000];
	char head[100];
	int fd = dial(w);

	memset(blob, 'a', sizeof(blob) - 1);
	snprintf(head, sizeof(head),
		 "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
	say(fd, head);
	require(send(fd, blob, 5000, MSG_NOSIGNAL) == 5000);
	ANSWERS(fd, "413 ");

	fd = dial(w);
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\n");
	require(send(fd, blob, 4096, MSG_NOSIGNAL) == 4096);
	ANSWERS(fd, "aaaa");

	/* one who will not stop is cut off */
	fd = dial(w);
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
	for (int i = 0; i < 1000; i++)
		if (send(fd, blob, sizeof(blob), MSG_NOSIGNAL) < 0)
			break;
	require(send(fd, "x", 1, MSG_NOSIGNAL) < 0);

	fd = dial(w); /* endless headers */
	for (int i = 0; i < 1000; i++)
		if (send(fd, blob, 1000, MSG_NOSIGNAL) < 0)
			break;
	require(strstr(hear(fd, NULL), " 200 ") == NULL);
}

/* Bodies and headers are bounded. */
static void test_oversized(void **state)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	run_client(*state, client_oversized);
	run_client(*state, client_simple);
}

static void client_garbage(const struct world *w)
{
	unsigned seed = 1;
	char noise[512];

	for (int i = 0; i < 200; i++) {
		int fd = dial(w);

		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (char)rand_r(&seed);
		if (i % 3 == 0)
			say(fd, "GET /hello HTTP/1.1\r\nHost");
		if (i % 3 == 1)
			say(fd, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
		(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		close(fd);
	}
	client_simple(w);
}

static void test_garbage(void **state)
{
	run_client(*state, client_garbage);
}

static void client_slow(const struct world *w)
{
	int slow = dial(w), fd = dial(w);

	say(slow, "GET /hello HTTP/1.1\r\n");
	say(fd, GET("/hello"));
	ANSWERS(fd, "\r\n\r\nhello");                /* nobody waits for the slow one */
	require(!strstr(hear(slow, NULL), " 200 ")); /* closed after a second */
	require(hear(fd, NULL)[0] == '\0');          /* the idle one, too */
}

/* Partial requests and idle connections end after the idle timeout. */
static void test_slow(void **state)
{
	struct world *w = *state;
	uint64_t start = now_us();

	run_client(w, client_slow);
	assert_in_range(now_us() - start, 900000, 5000000);
}

static void client_trickles(const struct world *w)
{
	struct timespec pause = { .tv_nsec = 400000000 };
	int slow = dial(w), fd = dial(w), reader = dial(w), n = 0;
	uint64_t start = now_us();

	say(slow, "GET /hello HTTP/1.1\r\nX: ");
	say(reader, GET("/large"));
	ANSWERS(reader, "200 OK");
	/* never idle for as long as the idle timeout, and never through */
	for (; n < 20 && send(slow, "a", 1, MSG_NOSIGNAL) == 1; n++) {
		char byte;

		nanosleep(&pause, NULL);
		(void)!recv(reader, &byte, 1, MSG_DONTWAIT);
		ask(fd, GET("/hello"), "\r\n\r\nhello");
	}
	require(now_us() - start > 1500000 && n < 15);
	while (recv(reader, (char[65536]){}, 65536, 0) > 0)
		;
}

/* Who sends or reads a byte at a time is cut off as well, while others are served. */
static void test_trickle(void **state)
{
	run_client(*state, client_trickles);
}

static void client_many(const struct world *w)
{
	int fds[200];

	for (size_t i = 0; i < N_ELEMENTS(fds); i++)
		fds[i] = dial(w); /* the first 16 say nothing and fill the server */
	for (size_t i = 16; i < N_ELEMENTS(fds); i++)
		say(fds[i], "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (size_t i = 16; i < N_ELEMENTS(fds); i++)
		ANSWERS(fds[i], "\r\n\r\nhello");
}

/* 200 clients on 16 places: all are served once the silent ones have timed out. */
static void test_many(void **state)
{
	struct world *w = *state;

	run_client(w, client_many);
	assert_int_equal(w->handled, 184);
	assert_true(w->spent < CLOCKS_PER_SEC / 2);
}

static void client_keeps(const struct world *w)
{
	int fd = dial(w), other = dial(w);
	struct timespec pause = { .tv_sec = 1, .tv_nsec = 500000000 };

	say(fd, GET("/keep"));
	say(other, GET("/hello"));
	ANSWERS(other, "\r\n\r\nhello");
	nanosleep(&pause, NULL); /* longer than the idle timeout: making an answer is not idle */
	other = dial(w);
	say(other, GET("/release"));
	ANSWERS(other, "released");
	ANSWERS(fd, "\r\n\r\nlate");
	say(fd, GET("/hello"));
	ANSWERS(fd, "\r\n\r\nhello");
}

static void client_leaves(const struct world *w)
{
	int fd = dial(w), other = dial(w);

	say(fd, GET("/keep"));
	say(other, GET("/hello"));
	ANSWERS(other, "\r\n\r\nhello");
	close(fd);
	say(other, GET("/release"));
	ANSWERS(other, "released");
	client_simple(w);
}

static void client_stays(const struct world *w)
{
	int fd = dial(w), other = dial(w);

	say(fd, GET("/keep"));
	say(other, GET("/hello"));
	ANSWERS(other, "\r\n\r\nhello");
}

/* A request may be answered later, after its client has gone, and after the server has gone. */
static void test_deferred(void **state)
{
	struct world *w = *state;

	run_client(w, client_keeps);
	assert_null(w->kept);
	run_client(w, client_leaves);
	assert_null(w->kept);
	run_client(w, client_stays);
	assert_non_null(w->kept); /* teardown() answers it without a server */
}

static void client_unprivileged(const struct world *w)
{
	int fd;

	require(chmod(w->path, 0666) == 0); /* as if it was in the group */
	require(setresuid(65534, 65534, 65534) == 0);
	fd = dial(w);
	say(fd, GET("/hello"));
	ANSWERS(fd, "\r\n\r\nhello");
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
	ANSWERS(fd, "403 Forbidden");
	fd = dial(w);
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	require(strstr(hear(fd, "}"), "\"error\":\"only root may"));
	fd = dial(w);
	say(fd, "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	ANSWERS(fd, "405 ");
}

/* Whoever is let in may read; only root may change something. */
static void test_unprivileged(void **state)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	run_client(*state, client_unprivileged);
}

/* A live socket is respected, a dead one replaced, a file that is no socket left alone. */
static void test_socket_life(void **state)
{
	struct world *w = *state;
	struct http_server_config config = make_config(w);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct http_server *second = NULL;
	struct stat st;
	FILE *f;
	int fd;

	assert_int_equal(http_server_new(w->event, &config, w, &second), -EADDRINUSE);
	assert_null(second);
	run_client(w, client_simple); /* and the first goes on */

	w->server = http_server_free(w->server);
	assert_int_equal(lstat(w->path, &st), -1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* as kill -9 leaves it */
	assert_int_equal(http_server_new(w->event, &config, w, &w->server), 0);
	run_client(w, client_simple);

	/* one who replaced our socket keeps his */
	assert_int_equal(unlink(w->path), 0);
	assert_int_equal(http_server_new(w->event, &config, w, &second), 0);
	w->server = http_server_free(w->server);
	w->server = second;
	run_client(w, client_simple);
	w->server = http_server_free(w->server);

	f = fopen(w->path, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(http_server_new(w->event, &config, w, &w->server), -EEXIST);
	assert_int_equal(unlink(w->path), 0);
}

/* Answers that go on. */

static void client_follows(const struct world *w)
{
	struct timespec pause = { .tv_sec = 1, .tv_nsec = 500000000 };
	int fd = dial(w), other = dial(w);

	ask(fd, GET("/follow"), "hello\n");
	nanosleep(&pause, NULL); /* longer than the idle timeout: waiting is not idle */
	other = dial(w);
	for (int i = 0; i < 3; i++) {
		char line[16];

		ask(other, GET("/write"), "written");
		snprintf(line, sizeof(line), " %d\n", i);
		require(strstr(hear(fd, line), line));
	}
	/* one who has shut down his writing still reads */
	require(shutdown(fd, SHUT_WR) == 0);
	ask(other, GET("/write"), "written");
	ANSWERS(fd, " 3\n");
	close(fd);
	ask(other, GET("/hello"), "\r\n\r\nhello");
}

/* Lines arrive when they are written; the client's end is noticed though nothing is written. */
static void test_stream(void **state)
{
	struct world *w = *state;

	run_client(w, client_follows);
	for (int i = 0; i < 500 && w->closed == 0; i++)
		turn(w, 10000);
	assert_int_equal(w->closed, 1);
	assert_true(w->drained > 0);
	assert_int_equal(w->refused, 0);
	run_client(w, client_simple);
}

/* Waiting for something to tell needs no turns of the event loop. */
static void client_waits(const struct world *w)
{
	struct timespec pause = { .tv_nsec = 300000000 };
	int fd = dial(w);

	ask(fd, GET("/follow"), "hello\n");
	nanosleep(&pause, NULL);
}

static void test_stream_idle(void **state)
{
	struct world *w = *state;

	w->turns = 0;
	run_client(w, client_waits);
	/* 30 are run_client()'s own, which looks for the end of the client */
	assert_true(w->turns < 60);
}

static void client_is_slow(const struct world *w)
{
	struct timespec pause = { .tv_nsec = 300000000 };
	int fd = dial(w), other = dial(w);
	char line[LINE_LENGTH + 2] = "";
	FILE *f = fdopen(fd, "r");

	require(f);
	say(fd, "GET /follow HTTP/1.0\r\n\r\n"); /* no chunks: lines are lines */
	while (strcmp(line, "hello\n") != 0)
		require(fgets(line, sizeof(line), f));
	ask(other, GET("/flood"), "flooded");
	ask(other, GET("/flood"), "flooded");
	nanosleep(&pause, NULL);
	ask(other, GET("/hello"), "\r\n\r\nhello");
	/* what found room arrives in order, and then there is room again */
	for (unsigned i = 0; i < 64; i++) {
		require(fgets(line, sizeof(line), f));
		require(strtoul(line, NULL, 10) == i);
	}
}

static void client_never_reads(const struct world *w)
{
	struct timespec pause = { .tv_sec = 2, .tv_nsec = 500000000 };
	int fd = dial(w), other = dial(w);

	ask(fd, GET("/follow"), "hello\n");
	for (int i = 0; i < 20; i++) /* the socket's buffer takes some */
		ask(other, GET("/flood"), "flooded");
	nanosleep(&pause, NULL);
	ask(dial(w), GET("/closed"), "\r\n\r\nclosed 2");
}

/* A reader that does not keep pace costs a bounded queue; one that reads nothing is cut off. */
static void test_stream_slow(void **state)
{
	struct world *w = *state;

	run_client(w, client_is_slow);
	assert_in_range(w->written, 64, 1000);
	assert_int_equal(w->written + w->refused, 2000);
	while (w->closed == 0)
		turn(w, 10000);
	run_client(w, client_never_reads);
	assert_int_equal(w->closed, 2);
}

/* The end of the server is the end of the stream. */
static void test_stream_end(void **state)
{
	struct world *w = *state;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = dial(w);

		ask(fd, GET("/follow"), "hello\n");
		require(write(fds[1], "x", 1) == 1);
		(void)hear(fd, NULL);
		_exit(0);
	}
	while (!w->stream)
		turn(w, 10000);
	for (int i = 0; i < 10; i++)
		turn(w, 1000);
	w->server = http_server_free(w->server);
	assert_int_equal(w->closed, 1);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The control endpoints on top of it. */

static int fake_status(void *userdata, bool connections,
		       int (*render)(const struct status *s, void *ret), void *ret)
{
	static const struct engine engine;
	static const struct status_uplinks uplinks;
	static const struct status_networks networks;
	static struct status s = { .version = "x",
				   .state = "ok",
				   .engine = &engine,
				   .backend = "none",
				   .uplinks = &uplinks,
				   .networks = &networks };

	(void)userdata;
	(void)connections;
	s.commits++;
	return render(&s, ret);
}

static int fake_plan(void *userdata, char **ret)
{
	(void)userdata;
	(void)ret;
	return -EIO;
}

static bool fake_healthy(void *userdata)
{
	(void)userdata;
	return false;
}

static int fake_sync(void *userdata, void (*done)(void *request, int error), void *request)
{
	struct world *w = userdata;

	control_changed(w->control);
	done(request, 0);
	return 0;
}

static int fake_reload(void *userdata, char **ret_error)
{
	(void)userdata;
	*ret_error = strdup("f.conf:1: no");
	return -EINVAL;
}

#define POST(path) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

/* Followers are told at once, in order; there is room for 16. */
static void client_events(const struct world *w)
{
	int fds[16], other = dial(w);

	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		fds[i] = dial(w);
		ask(fds[i], GET("/v1/events"), "\"kind\":\"hello\"");
	}
	ask(other, GET("/v1/events"), "503 ");
	ask(other, POST("/v1/sync"), "\r\n\r\n{}");
	for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
		ANSWERS(fds[i], "\"kind\":\"ruleset\",\"change\":\"changed\"");
		close(fds[i]);
	}
	for (unsigned i = 0; i < 16; i++) { /* they have left, which is noticed */
		struct timespec pause = { .tv_nsec = 20000000 };

		other = dial(w);
		say(other, GET("/v1/events"));
		if (strstr(hear(other, "\r\n\r\n"), " 200 "))
			return;
		nanosleep(&pause, NULL);
	}
	require(false);
}

/* One who reads late is told what he has missed, to the last line, and then goes on. */
static void client_lags(const struct world *w)
{
	enum {
		CHANGES = 3000
	};
	int fd = dial(w), other = dial(w);
	unsigned seen = 0, lost = 0;
	FILE *f = fdopen(fd, "r");
	char line[1024];

	require(f);
	say(fd, "GET /v1/events HTTP/1.0\r\n\r\n");
	while (fgets(line, sizeof(line), f) && !strstr(line, "\"kind\":\"hello\""))
		;
	for (unsigned i = 0; i < CHANGES; i++)
		ask(other, POST("/v1/sync"), "\r\n\r\n{}");
	while (seen + lost < CHANGES) {
		const char *n;

		require(fgets(line, sizeof(line), f));
		n = strstr(line, "\"lost\":");
		if (n)
			lost += (unsigned)strtoul(n + strlen("\"lost\":"), NULL, 10);
		else
			seen++;
	}
	require(seen + lost == CHANGES && lost > 0 && seen > 300);
	ask(other, POST("/v1/sync"), "\r\n\r\n{}");
	require(fgets(line, sizeof(line), f) && strstr(line, "\"kind\":\"ruleset\""));
}

static void client_control(const struct world *w)
{
	int fd = dial(w);

	say(fd, GET("/v1/status"));
	ANSWERS(fd, "{\"version\":\"x\"");
	say(fd, GET("/v1/plan"));
	ANSWERS(fd, "500 ");
	fd = dial(w);
	say(fd, GET("/healthz"));
	ANSWERS(fd, "503 ");
	fd = dial(w);
	say(fd, POST("/v1/sync"));
	ANSWERS(fd, "\r\n\r\n{}");
	fd = dial(w);
	say(fd, POST("/v1/reload"));
	require(strstr(hear(fd, "}"), "\"error\":\"f.conf:1: no\""));
	fd = dial(w);
	say(fd, GET("/v1/sync"));
	ANSWERS(fd, "405 ");
	fd = dial(w);
	say(fd, GET("/nothing"));
	ANSWERS(fd, "404 ");
	client_events(w);
	client_lags(w);
}

static void test_control(void **state)
{
	static const struct control_callbacks callbacks = { fake_status, fake_plan, fake_healthy,
							    fake_sync, fake_reload };
	struct world *w = *state;

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	w->server = http_server_free(w->server);
	assert_int_equal(control_new(w->event, w->path, &callbacks, w, &w->control), 0);
	run_client(w, client_control);
	control_free(w->control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_simple, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oversized, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trickle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deferred, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unprivileged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_slow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_control, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
