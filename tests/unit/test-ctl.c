/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real ipv6natctl beside this program, as a child; the daemon's half of the API answers it. */
#include "daemon/control.h"
#include "wire/api-json.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

static char program[4096]; /* build/.../ipv6natctl */

struct world {
	char directory[32];
	char path[64];
	sd_event *event;
	struct control *control;
	const char *status; /* the document to answer with; NULL: an error */
	bool no_plan;
	int sync_error;
	const char *reload_error;
	char out[64 * 1024], err[4096]; /* what the last run has printed */
};

/* Only /v1/status is asked for here, so what is rendered into is a text. */
static int fake_status(void *userdata, bool connections,
		       int (*render)(const struct status *s, void *ret), void *ret)
{
	struct world *w = userdata;

	(void)render;
	if (!w->status || !connections)
		return -EIO;
	*(char **)ret = strdup(w->status);
	return 0;
}

static int fake_plan(void *userdata, char **ret)
{
	struct world *w = userdata;

	*ret = strdup(w->no_plan ? "" : "table ip6 ipv6nat {\n\tcomment \"\x1b[31m\"\n}\n");
	return 0;
}

static bool fake_healthy(void *userdata)
{
	(void)userdata;
	return true;
}

static int fake_sync(void *userdata, void (*done)(void *request, int error), void *request)
{
	struct world *w = userdata;

	done(request, w->sync_error);
	return 0;
}

static int fake_reload(void *userdata, char **ret_error)
{
	struct world *w = userdata;

	if (!w->reload_error)
		return 0;
	*ret_error = strdup(w->reload_error);
	return -EINVAL;
}

static const struct control_callbacks callbacks = { fake_status, fake_plan, fake_healthy, fake_sync,
						    fake_reload };

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || access(program, X_OK) < 0)
		return -1;
	strcpy(w->directory, "/tmp/test-ctl-XXXXXX");
	if (!mkdtemp(w->directory) || chmod(w->directory, 0755) < 0)
		return -1;
	snprintf(w->path, sizeof(w->path), "%s/control.sock", w->directory);
	if (sd_event_new(&w->event) < 0)
		return -1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	control_free(w->control);
	sd_event_unref(w->event);
	(void)unlink(w->path);
	(void)rmdir(w->directory);
	free(w);
	return 0;
}

static void start_daemon(struct world *w)
{
	assert_int_equal(control_new(w->event, w->path, &callbacks, w, &w->control), 0);
}

static void read_back(int fd, char *buffer, size_t size)
{
	ssize_t n = pread(fd, buffer, size - 1, 0);

	assert_true(n >= 0);
	buffer[n] = '\0';
	close(fd);
}

static void exec_ctl(const struct world *w, uid_t uid, char **arguments, int out, int err)
{
	char *argv[16] = { program, (char *)(uintptr_t) "--control", (char *)(uintptr_t)w->path };

	for (size_t i = 0; arguments[i]; i++)
		argv[3 + i] = arguments[i];
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		_exit(99);
	if (uid != 0 && setresuid(uid, uid, uid) < 0)
		_exit(99);
	execv(program, argv);
	_exit(99);
}

/* Runs ipv6natctl with these arguments (the last is NULL) and returns its exit code. */
static int ctl_as(struct world *w, uid_t uid, char **arguments)
{
	int out = open("/tmp", O_TMPFILE | O_RDWR, 0600),
	    err = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	int status = 0;
	pid_t pid;

	assert_true(out >= 0 && err >= 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		exec_ctl(w, uid, arguments, out, err);
	while (waitpid(pid, &status, WNOHANG) == 0)
		assert_true(sd_event_run(w->event, 5000) >= 0);
	read_back(out, w->out, sizeof(w->out));
	read_back(err, w->err, sizeof(w->err));
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define ARGUMENTS(...) ((char *[]){ __VA_ARGS__, NULL })
#define ctl(w, ...) ctl_as(w, 0, (char **)(uintptr_t)(const char *[]){ __VA_ARGS__, NULL })

#define assert_says(text, part)                                        \
	do {                                                           \
		if (!strstr(text, part))                               \
			fail_msg("\"%s\" is not in:\n%s", part, text); \
	} while (0)

#define DOCUMENT(problems)                                                                      \
	"{\"version\":\"9\",\"state\":\"ok\",\"uptime_s\":100.5,"                               \
	"\"docker\":{\"host\":\"unix:///d\",\"connected\":true,\"version\":\"20.10.24\","       \
	"\"api\":\"1.41\",\"events\":1,\"last_sync\":null},"                                    \
	"\"backend\":{\"name\":\"nftables\",\"commits\":3,\"repairs\":0,\"elements\":12},"      \
	"\"uplinks\":[{\"interface\":\"eth0\",\"up\":true,\"mac\":null,"                        \
	"\"prefixes\":[\"2001:db8:1::/64\"],\"addresses\":[]}],"                                \
	"\"networks\":[{\"id\":\"01\",\"name\":\"evil\\u001b[31m\\\\x\",\"bridge\":\"br-01\","  \
	"\"subnets\":[\"fd00:6::/64\"],\"mode\":\"nat\",\"reason\":\"ULA\",\"uplink\":null,"    \
	"\"snat\":null,\"prefix\":null,\"containers\":[{\"id\":\"ab\",\"name\":\"web\","        \
	"\"address\":\"fd00:6::2\",\"public\":null,\"answered\":\"eth0\","                      \
	"\"ports\":[{\"protocol\":\"tcp\","                                                     \
	"\"host_address\":\"::\",\"host_port\":8080,\"container_port\":80,\"connections\":5,"   \
	"\"state\":\"active\"}]},{\"id\":\"cd\",\"name\":\"silent\",\"address\":\"fd00:6::3\"," \
	"\"public\":null,\"answered\":null,\"ports\":[]}]}],"                                   \
	"\"ndp\":[{\"interface\":\"eth0\",\"targets\":1,\"solicitations\":10,"                  \
	"\"advertisements\":9,\"dropped\":{\"checksum\":1,\"new\\u001b\":2},\"lost\":4,"        \
	"\"rules\":[\"2001:db8:1:0:d0::/80\"]},{\"interface\":\"eth1\",\"targets\":3,"          \
	"\"solicitations\":0,\"advertisements\":1,\"dropped\":{}}],"                            \
	"\"problems\":[" problems "]}"
#define PROBLEM(severity, message) \
	"{\"code\":\"c\",\"severity\":\"" severity "\",\"message\":\"" message "\",\"cure\":\"z\"}"

/* 3 means that no daemon is behind the socket, and the message says which and how to start it. */
static void test_no_daemon(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct world *w = *state;
	int fd;

	assert_int_equal(ctl(w, "status"), 3);
	assert_says(w->err, w->path);
	assert_says(w->err, "No such file");
	assert_says(w->err, "systemctl start ipv6natd");
	assert_int_equal(ctl(w, "sync"), 3);

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, w->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* as kill -9 leaves it */
	assert_int_equal(ctl(w, "status"), 3);
	assert_says(w->err, "refused");
	assert_string_equal(w->out, "");
}

/* No permission is 1, and names the group. */
static void test_no_permission(void **state)
{
	struct world *w = *state;

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	start_daemon(w);
	assert_int_equal(ctl_as(w, 65534, ARGUMENTS((char *)(uintptr_t) "status")), 1);
	assert_says(w->err, "no permission");
	assert_says(w->err, "ipv6nat");

	/* let in to read, but not to change something */
	assert_int_equal(chmod(w->path, 0666), 0);
	assert_int_equal(ctl_as(w, 65534, ARGUMENTS((char *)(uintptr_t) "plan")), 0);
	assert_int_equal(ctl_as(w, 65534, ARGUMENTS((char *)(uintptr_t) "sync")), 1);
	assert_says(w->err, "only root");
}

/* 2 is for what cannot be a command; nobody needs to be asked for it. */
static void test_usage(void **state)
{
	struct world *w = *state;

	assert_int_equal(ctl(w, "frobnicate"), 2);
	assert_int_equal(ctl(w, "--frobnicate"), 2);
	assert_int_equal(ctl(w, "--no-color"), 2);
	assert_int_equal(ctl(w, "status", "extra"), 2);
	assert_int_equal(ctl(w, "version", "extra"), 2);
	assert_int_equal(ctl(w, "help", "--json"), 2);
	assert_int_equal(ctl(w, "status", "-o", "ID"), 2);
	assert_int_equal(ctl(w, "ports", "-o", "STATE,\x1b"), 2);
	assert_says(w->err, "unknown column \"\\x1b\"");
	assert_says(w->err, "CONTAINER,NETWORK,PROTOCOL,HOST,TARGET,STATE,CONNECTIONS");
	assert_int_equal(ctl(w, "ports", "-o", ""), 2);
	assert_int_equal(ctl(w, "ports", "-o", "+"), 2);
	assert_int_equal(ctl(w, "import-ndppd"), 2);
	assert_int_equal(ctl(w, "--host", "-oProxyCommand=true", "status"), 2);
	assert_int_equal(ctl(w, "--host", "root@-x", "status"), 2);
	assert_int_equal(ctl(w, "--host", "", "status"), 2);
	assert_int_equal(ctl(w, "--host", "x", "import-ndppd", "file"), 2);
	assert_int_equal(ctl(w, "--control", "", "status"), 2);
	assert_int_equal(ctl(w, "check"), 1);
	assert_says(w->err, "not available in this version");
	assert_string_equal(w->out, "");
	assert_int_equal(ctl(w, "help"), 0);
	assert_null(strstr(w->out, "check"));
}

/* Of this program without asking, of the daemon if it can be asked; never an error. */
static void test_version(void **state)
{
	struct world *w = *state;

	assert_int_equal(ctl(w, "version"), 0);
	assert_string_equal(w->out, "ipv6natctl " IPV6NAT_VERSION "\nipv6natd: not running\n");
	assert_string_equal(w->err, "");
	assert_int_equal(ctl(w, "version", "--json"), 0);
	assert_string_equal(w->out, "{\"version\":\"" IPV6NAT_VERSION "\",\"daemon\":null}\n");
	start_daemon(w);
	w->status = DOCUMENT("");
	assert_int_equal(ctl(w, "version"), 0);
	assert_string_equal(w->out, "ipv6natctl " IPV6NAT_VERSION "\nipv6natd 9\n");
	assert_int_equal(ctl(w, "--version"), 0);
	assert_string_equal(w->out, "ipv6natctl " IPV6NAT_VERSION "\n");
	assert_int_equal(ctl(w, "version", "--json"), 0);
	assert_string_equal(w->out, "{\"version\":\"" IPV6NAT_VERSION "\",\"daemon\":\"9\"}\n");
	w->status = "[]";
	assert_int_equal(ctl(w, "version"), 0);
	assert_says(w->out, "ipv6natd: of another version");
	if (geteuid() != 0)
		return;
	assert_int_equal(ctl_as(w, 65534, ARGUMENTS((char *)(uintptr_t) "version")), 0);
	assert_says(w->out, "ipv6natd: cannot be asked");
	assert_string_equal(w->err, "");
}

/* The help is read on a screen of 80 by 24. */
static void test_help(void **state)
{
	struct world *w = *state;
	size_t lines = 0, column = 0;

	assert_int_equal(ctl(w, "--help"), 0);
	for (const char *p = w->out; *p != '\0'; p++) {
		column = *p == '\n' ? 0 : column + 1;
		lines += *p == '\n';
		assert_true(column <= 80);
	}
	assert_true(lines <= 24);
}

/* status: all on a screen, the worst first, nothing that a terminal would obey; 1 if not well. */
static void test_status(void **state)
{
	struct world *w = *state;

	start_daemon(w);
	w->status = DOCUMENT("");
	assert_int_equal(ctl(w, "status"), 0);
	assert_says(w->out, "ok: Docker 20.10.24; nftables 12 elements, 3 commits, 0 repairs");
	assert_says(w->out, "Uplinks: eth0 2001:db8:1::/64");
	assert_says(w->out, "evil\\x1b[31m\\x");
	assert_says(w->out, " 8080->80/tcp");
	assert_says(w->out, "\neth0: 1 address and 1 static rule answered, 10 solicitations, "
			    "9 advertisements, 3 dropped (checksum 1, new\\x1b 2), 4 lost\n");
	assert_says(w->out, "\neth1: 3 addresses answered, 0 solicitations, 1 advertisement\n");
	assert_null(strchr(w->out, '\x1b'));

	w->status = DOCUMENT(PROBLEM("notice", "n"));
	assert_int_equal(ctl(w, "status"), 0);
	w->status = DOCUMENT(PROBLEM("notice", "one") "," PROBLEM("warning", "two"));
	assert_int_equal(ctl(w, "status"), 1);
	w->status = DOCUMENT(PROBLEM("notice", "one") "," PROBLEM("warning", "two") "," PROBLEM(
		"error", "three \\u001b]0;x\\u0007"));
	assert_int_equal(ctl(w, "status"), 1);
	assert_true(strstr(w->out, "three") < strstr(w->out, "two"));
	assert_true(strstr(w->out, "two") < strstr(w->out, "one"));
	assert_null(strchr(w->out, '\x1b'));

	assert_int_equal(ctl(w, "status", "--json"), 1);
	assert_int_equal(strncmp(w->out, w->status, strlen(w->status)), 0);
	assert_string_equal(w->out + strlen(w->status), "\n");
}

static void test_tables(void **state)
{
	struct world *w = *state;

	start_daemon(w);
	w->status = DOCUMENT("");
	assert_int_equal(ctl(w, "networks"), 0);
	assert_says(w->out, "NETWORK");
	assert_says(w->out, "fd00:6::/64");
	assert_int_equal(ctl(w, "networks", "--no-legend", "-o", "mode,ID"), 0);
	/* libsmartcols before 2.41 leaves room for the hidden header. */
	assert_true(strcmp(w->out, "nat  01\n") == 0 || strcmp(w->out, "nat 01\n") == 0);
	assert_null(strstr(w->out, "br-01"));
	assert_int_equal(ctl(w, "networks", "--no-legend", "-o", "mode,ID,mode"), 0);
	assert_true(strcmp(w->out, "nat  01\n") == 0 || strcmp(w->out, "nat 01\n") == 0);
	assert_int_equal(ctl(w, "networks", "-o", "+bridge"), 0);
	assert_says(w->out, "REASON BRIDGE\n");
	assert_int_equal(ctl(w, "ports", "--no-legend"), 0);
	assert_says(w->out, "[::]:8080 [fd00:6::2]:80 active");
	assert_int_equal(ctl(w, "ports", "--json", "-o", "CONTAINER,CONNECTIONS"), 0);
	assert_says(w->out, "\"container\": \"web\"");
	assert_says(w->out, "\"connections\": 5");
	assert_int_equal(ctl(w, "networks", "--json", "-o", "NETWORK,SNAT"), 0);
	assert_says(w->out, "\"network\": \"evil\\u001b[31m\\\\x\"");
	assert_says(w->out, "\"snat\": null");
	/* without a choice, programs get all columns; what is a list in the document is one here */
	assert_int_equal(ctl(w, "networks", "--json"), 0);
	assert_says(w->out, "\"id\": \"01\"");
	assert_says(w->out, "\"subnets\": [\n");
	assert_int_equal(ctl(w, "ports", "--json"), 0);
	assert_says(w->out, "\"host_address\": \"::\"");
	assert_says(w->out, "\"host_port\": 8080");
	assert_says(w->out, "\"container_port\": 80");
	w->status = "{}";
	assert_int_equal(ctl(w, "networks"), 1);
	assert_says(w->err, "cannot be understood");
	w->status = NULL;
	assert_int_equal(ctl(w, "networks"), 1);
	assert_says(w->err, "Input/output error");
	assert_int_equal(ctl(w, "plan"), 0);
	assert_string_equal(w->out, "table ip6 ipv6nat {\n\tcomment \"\\x1b[31m\"\n}\n");
	assert_int_equal(ctl(w, "plan", "--json"), 0);
	assert_string_equal(
		w->out,
		"{\"plan\":\"table ip6 ipv6nat {\\n\\tcomment \\\"\\u001B[31m\\\"\\n}\\n\"}\n");
	w->no_plan = true;
	assert_int_equal(ctl(w, "plan"), 0);
	assert_string_equal(w->out, "");
}

/* addresses: what is answered, and nothing else. */
static void test_addresses(void **state)
{
	struct world *w = *state;

	start_daemon(w);
	w->status = DOCUMENT("");
	assert_int_equal(ctl(w, "addresses"), 0);
	assert_says(w->out, "ADDRESS");
	assert_says(w->out, "KIND");
	assert_null(strstr(w->out, "silent"));
	assert_int_equal(ctl(w, "addresses", "--no-legend", "-o", "KIND,ADDRESS"), 0);
	assert_says(w->out, "container fd00:6::2\n");
	assert_says(w->out, "2001:db8:1:0:d0::/80\n");
	assert_int_equal(ctl(w, "addresses", "--json"), 0);
	assert_says(w->out, "\"interface\": \"eth0\"");
	assert_says(w->out, "\"container\": null");
	assert_says(w->out, "\"kind\": \"rule\"");
	assert_int_equal(ctl(w, "addresses", "-o", "MAC"), 2);
	assert_says(w->err, "ADDRESS,INTERFACE,CONTAINER,NETWORK,KIND,ID");
}

/* import-ndppd needs no daemon; what it prints is what the parser says, with the file's name. */
static void test_import(void **state)
{
	static const char good[] = "proxy eth0 {\n rule 2001:db8::/120 { static }\n}\n";
	static const char bad[] = "proxy eth0 {\n rule nonsense { static }\n}\n";
	struct world *w = *state;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/ndppd\x1b.conf", w->directory);
	assert_int_equal(ctl(w, "import-ndppd", path), 1);
	assert_says(w->err, "ndppd\\x1b.conf: No such file");
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fputs(good, f) < 0 || fclose(f) != 0, 0);
	assert_int_equal(ctl(w, "import-ndppd", path), 0);
	assert_says(w->out, "\n[Proxy eth0]\n");
	assert_says(w->out, "\nPrefix=2001:db8::/120\n");
	assert_string_equal(w->err, "");
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fputs(bad, f) < 0 || fclose(f) != 0, 0);
	assert_int_equal(ctl(w, "import-ndppd", path), 1);
	assert_says(w->err, "ndppd\\x1b.conf:2: rule nonsense: ");
	assert_string_equal(w->out, "");
	assert_int_equal(ctl(w, "import-ndppd", w->directory), 1);
	assert_says(w->err, "Is a directory");
	assert_int_equal(ctl(w, "import-ndppd", path, path), 2);
	assert_int_equal(ctl(w, "import-ndppd", "--json", path), 2);
	(void)unlink(path);
}

/* sync and reload say what went wrong, and the exit code does, too. */
static void test_post(void **state)
{
	struct world *w = *state;

	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	start_daemon(w);
	assert_int_equal(ctl(w, "sync"), 0);
	w->sync_error = -ENOTCONN;
	assert_int_equal(ctl(w, "sync"), 1);
	assert_says(w->err, "synchronisation failed");
	assert_int_equal(ctl(w, "reload"), 0);
	w->reload_error = "f.conf:3: unknown key X in [Daemon]";
	assert_int_equal(ctl(w, "reload"), 1);
	assert_says(w->err, w->reload_error);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_permission, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_help, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_import, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post, setup, teardown),
	};
	const char *slash = strrchr(argv[0], '/');

	(void)argc;
	snprintf(program, sizeof(program), "%.*sipv6natctl", slash ? (int)(slash - argv[0]) + 1 : 0,
		 argv[0]);
	if (access(program, X_OK) < 0) {
		printf("SKIP: %s is not built\n", program);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
