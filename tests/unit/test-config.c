/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Real files in a directory of their own, and this process's environment. */
#include "daemon/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct world {
	char directory[32];
	char file[64];
	char dropins[72];
	char *error;
};

static const char *const variables[] = { "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
					 "DOCKER_CONFIG" };

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	strcpy(w->directory, "/tmp/test-config-XXXXXX");
	if (!mkdtemp(w->directory))
		return -1;
	snprintf(w->file, sizeof(w->file), "%s/f.conf", w->directory);
	snprintf(w->dropins, sizeof(w->dropins), "%s.d", w->file);
	for (size_t i = 0; i < N_ELEMENTS(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", w->directory, 1);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", w->directory);
	free(w->error);
	return system(command) == 0 ? (free(w), 0) : -1;
}

static void put(const struct world *w, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int load(struct world *w, struct config *c)
{
	free(steal_ptr(&w->error));
	return config_load(w->file, c, &w->error);
}

/* FILE, then FILE.d/?*.conf in the order of their names; what is hidden or no .conf is skipped. */
static void test_order(void **state)
{
	struct world *w = *state;
	struct config c;

	put(w, "f.conf", "[Docker]\nResyncSec=1\n[Uplink]\nInterface=a\n");
	assert_int_equal(load(w, &c), 0); /* FILE.d is missing */
	assert_int_equal(c.resync_s, 1);
	config_done(&c);

	assert_int_equal(mkdir(w->dropins, 0755), 0);
	put(w, "f.conf.d/20.conf", "[Docker]\nResyncSec=20\n[Uplink]\nInterface=c\n");
	put(w, "f.conf.d/10.conf", "[Docker]\nResyncSec=10\n[Uplink]\nInterface=b\n");
	put(w, "f.conf.d/30.conf.bak", "nonsense");
	put(w, "f.conf.d/.40.conf", "nonsense");
	put(w, "f.conf.d/.conf", "nonsense");
	assert_int_equal(load(w, &c), 0);
	assert_int_equal(c.resync_s, 20);
	assert_int_equal(c.uplinks.n, 3);
	assert_string_equal(c.uplinks.items[1].text, "b");
	config_done(&c);
}

/* Each failure has a sentence with the file's name, leaves *ret alone, and never blocks. */
static void test_failures(void **state)
{
	struct world *w = *state;
	struct config c, untouched;
	char path[128];

	memset(&c, 0x5a, sizeof(c));
	untouched = c;
	assert_int_equal(load(w, &c), -ENOENT);
	assert_non_null(strstr(w->error, w->file));
	assert_memory_equal(&c, &untouched, sizeof(c));

	put(w, "f.conf", "[Docker]\nHost=tcp://a:1\nHost=nonsense\n");
	assert_int_equal(load(w, &c), -EINVAL);
	assert_non_null(strstr(w->error, "f.conf:3: Host=nonsense"));
	assert_memory_equal(&c, &untouched, sizeof(c));

	put(w, "f.conf", "");
	assert_int_equal(mkdir(w->dropins, 0755), 0);
	put(w, "f.conf.d/1.conf", "[Network a]\nMode=nat\n");
	put(w, "f.conf.d/2.conf", "x");
	assert_int_equal(load(w, &c), -EINVAL);
	assert_non_null(strstr(w->error, "f.conf.d/2.conf:1: "));

	snprintf(path, sizeof(path), "%s/2.conf", w->dropins);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(load(w, &c), -ENXIO);
	assert_non_null(strstr(w->error, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(load(w, &c), 0);
	assert_int_equal(c.networks.n, 1);
	config_done(&c);
	assert_int_equal(unlink(w->file), 0);
	assert_int_equal(mkdir(w->file, 0755), 0);
	assert_int_equal(load(w, &c), -EISDIR);
}

static void expect(const char *option, const struct config *c, const char *host, const char *cert,
		   bool verify)
{
	struct config_docker d;

	assert_int_equal(config_docker_resolve(option, c, &d), 0);
	assert_string_equal(d.host, host);
	if (cert)
		assert_string_equal(d.cert_path, cert);
	else
		assert_null(d.cert_path);
	assert_int_equal(d.tls_verify, verify);
	config_docker_done(&d);
}

/* Option over environment over configuration over default; TLS as the docker command has it. */
static void test_docker(void **state)
{
	struct world *w = *state;
	struct config c = { 0 };
	char home[128];

	expect(NULL, &c, "unix:///var/run/docker.sock", NULL, false);
	c.docker_host = (char *)(uintptr_t) "tcp://conf:1";
	expect(NULL, &c, "tcp://conf:1", NULL, false);
	setenv("DOCKER_HOST", "", 1);
	expect(NULL, &c, "tcp://conf:1", NULL, false);
	setenv("DOCKER_HOST", "tcp://env:1", 1);
	expect(NULL, &c, "tcp://env:1", NULL, false);
	expect("https://option:1", &c, "https://option:1", NULL, true);

	setenv("DOCKER_CERT_PATH", "/env", 1);
	expect(NULL, &c, "tcp://env:1", "/env", false);
	setenv("DOCKER_TLS_VERIFY", "", 1);
	expect(NULL, &c, "tcp://env:1", "/env", false);
	setenv("DOCKER_TLS_VERIFY", "0", 1); /* not empty: that is all that counts */
	expect(NULL, &c, "tcp://env:1", "/env", true);
	unsetenv("DOCKER_CERT_PATH");
	expect(NULL, &c, "tcp://env:1", NULL, true);
	snprintf(home, sizeof(home), "%s/.docker", w->directory);
	assert_int_equal(mkdir(home, 0700), 0);
	put(w, ".docker/ca.pem", "");
	expect(NULL, &c, "tcp://env:1", home, true);

	unsetenv("DOCKER_TLS_VERIFY");
	c.docker_cert_path = (char *)(uintptr_t) "/conf";
	expect(NULL, &c, "tcp://env:1", "/conf", true);
	expect("unix:///x", &c, "unix:///x", "/conf", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_docker, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
