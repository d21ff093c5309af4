/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/manager.h"
#include "lock.h"
#include "wire/api-json.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define EXIT_USAGE 2
#define GIVE_UP_US (10 * UINT64_C(1000000)) /* --once and --dry-run without an engine */

struct options {
	const char *config;
	const char *docker;
	const char *control;
	const char *backend;
	int check, check_config, dry_run, once, cleanup, json, verbose; /* set by getopt_long() */
};

struct daemon {
	sd_event *event;
	struct manager *manager;
	struct control *control;
	bool one_shot;
};

static const char help_text[] =
	"Usage: ipv6natd [OPTION]...\n"
	"Gives Docker containers working IPv6: NAT, published ports, isolation.\n"
	"\n"
	"  --config FILE      instead of " CONFIG_DEFAULT_FILE "; FILE.d/*.conf, too\n"
	"  --docker URL       the engine: unix://PATH, tcp://HOST:PORT, https://HOST:PORT\n"
	"  --control PATH     the control socket, default " CONTROL_DEFAULT_PATH "\n"
	"  --backend NAME     auto, nftables or ip6tables\n"
	"  --check            diagnose this host and exit\n"
	"  --check-config     read the configuration, say what is wrong with it, and exit\n"
	"  --dry-run          print the ruleset as an nft script and exit, change nothing\n"
	"  --once             synchronise once and exit\n"
	"  --cleanup          remove all that is ours from the kernel and exit\n"
	"  --json             with --dry-run: print the status document instead\n"
	"  --verbose          log what is done in detail\n"
	"  --version          print the version and exit\n"
	"  --help             print this and exit\n"
	"\n"
	"ipv6natctl status shows what a running daemon does. Manual: ipv6natd(8).\n";

static int check_usage(int argc, char **argv, const struct options *o)
{
	if (optind < argc) {
		(void)fprintf(stderr, "ipv6natd: unexpected argument \"%s\"; try ipv6natd --help\n",
			      argv[optind]);
		return -EXIT_USAGE;
	}
	if (o->check + o->check_config + o->dry_run + o->once + o->cleanup > 1) {
		(void)fputs(
			"ipv6natd: --check, --check-config, --dry-run, --once and --cleanup exclude "
			"one another\n",
			stderr);
		return -EXIT_USAGE;
	}
	return 1;
}

/* > 0: go on; <= 0: exit with -r. */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum {
		FLAG, /* getopt_long() has set it */
		CONFIG,
		DOCKER,
		CONTROL,
		BACKEND,
		VERSION,
		HELP
	};
	const struct option table[] = {
		{ "config", required_argument, NULL, CONFIG },
		{ "docker", required_argument, NULL, DOCKER },
		{ "control", required_argument, NULL, CONTROL },
		{ "backend", required_argument, NULL, BACKEND },
		{ "check", no_argument, &o->check, true },
		{ "check-config", no_argument, &o->check_config, true },
		{ "dry-run", no_argument, &o->dry_run, true },
		{ "once", no_argument, &o->once, true },
		{ "cleanup", no_argument, &o->cleanup, true },
		{ "json", no_argument, &o->json, true },
		{ "verbose", no_argument, &o->verbose, true },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{},
	};
	const char **const arguments[] = {
		[CONFIG] = &o->config,
		[DOCKER] = &o->docker,
		[CONTROL] = &o->control,
		[BACKEND] = &o->backend,
	};
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0)
		switch (c) {
		case FLAG:
			break;
		case CONFIG:
		case DOCKER:
		case CONTROL:
		case BACKEND:
			*arguments[c] = optarg;
			break;
		case VERSION:
			(void)puts("ipv6natd " IPV6NAT_VERSION);
			return 0;
		case HELP:
			(void)fputs(help_text, stdout);
			return 0;
		default:
			(void)fputs("Try ipv6natd --help.\n", stderr);
			return -EXIT_USAGE;
		}
	return check_usage(argc, argv, o);
}

/* What --check-config finds is its result, which editors read, and no message for the log. */
static void tell(const struct options *o, int level, const char *text)
{
	if (o->check_config)
		(void)fprintf(stderr, "%s\n", text);
	else
		(void)log_full(level, 0, "%s", text);
}

static int check_backend(const struct options *o, const struct config *c)
{
	int backend = o->backend ? config_backend_from_string(o->backend) : (int)c->backend;

	if (backend < 0) {
		(void)fprintf(stderr, "ipv6natd: --backend %s: use auto, nftables or ip6tables\n",
			      o->backend);
		return -EXIT_USAGE;
	}
	if (backend == CONFIG_BACKEND_IP6TABLES) {
		tell(o, LOG_ERR,
		     "The ip6tables backend is not available in this version: use nftables");
		return -EXIT_FAILURE;
	}
	return 0;
}

/* ------------------------------------------------------------- callbacks */

/* The manager knows nothing of the control API, but its problems are shown with the others. */
struct rendering {
	const struct problems *problems;
	int (*render)(const struct status *s, void *ret);
	void *ret;
};

static int render_with_problems(const struct status *s, void *userdata)
{
	const struct rendering *rendering = userdata;
	struct status all = *s;

	all.problems[N_ELEMENTS(all.problems) - 1] = rendering->problems;
	return rendering->render(&all, rendering->ret);
}

static int on_status(void *userdata, bool connections,
		     int (*render)(const struct status *s, void *ret), void *ret)
{
	struct daemon *d = userdata;
	struct rendering rendering = { control_problems(d->control), render, ret };

	return manager_status(d->manager, connections, render_with_problems, &rendering);
}

static int on_plan(void *userdata, char **ret)
{
	return manager_plan_text(((struct daemon *)userdata)->manager, ret);
}

static bool on_healthy(void *userdata)
{
	return manager_is_healthy(((struct daemon *)userdata)->manager);
}

static int on_sync(void *userdata, void (*done)(void *request, int error), void *request)
{
	return manager_sync(((struct daemon *)userdata)->manager, done, request);
}

static int reload(struct daemon *d, char **ret_error)
{
	uint64_t now = 0;
	int r;

	(void)sd_event_now(d->event, CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)now);
	r = manager_reload(d->manager, ret_error);
	(void)sd_notify(false, "READY=1");
	if (r < 0)
		log_error("Keeping the old configuration: %s",
			  *ret_error ? *ret_error : strerror(-r));
	else
		log_info("Read the configuration again");
	if (r >= 0)
		control_listen(d->control, manager_metrics_listen(d->manager));
	return r;
}

static int on_reload(void *userdata, char **ret_error)
{
	return reload(userdata, ret_error);
}

static const struct control_callbacks control_callbacks = {
	.status = on_status,
	.plan_text = on_plan,
	.healthy = on_healthy,
	.sync = on_sync,
	.reload = on_reload,
};

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	_cleanup_(freep) char *error = NULL;

	(void)source;
	(void)info;
	(void)reload(userdata, &error);
	return 0;
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info,
			void *userdata)
{
	struct daemon *d = userdata;

	(void)source;
	(void)info;
	(void)sd_notify(false, "STOPPING=1");
	if (!d->one_shot)
		manager_stop(d->manager);
	return sd_event_exit(d->event, d->one_shot ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void on_first_sync(void *userdata, int error)
{
	struct daemon *d = userdata;

	(void)sd_event_exit(d->event, error < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void on_pass(void *userdata)
{
	struct daemon *d = userdata;

	if (d->control)
		control_changed(d->control);
}

static int on_give_up(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *d = userdata;

	(void)source;
	(void)usec;
	log_error("No answer from the Docker engine within 10 s: is it running, and is --docker or "
		  "DOCKER_HOST right?");
	return sd_event_exit(d->event, EXIT_FAILURE);
}

/* ------------------------------------------------------------------ runs */

static int add_signals(struct daemon *d)
{
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	/* Who reads the log may go: that is no reason for the daemon to. */
	if (!d->one_shot && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	r = sd_event_add_signal(d->event, NULL, SIGTERM, on_terminate, d);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGINT, on_terminate, d);
	if (r >= 0 && !d->one_shot)
		r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	return r;
}

static int take_lock(const char *what)
{
	pid_t pid = 0;
	int fd = lock_namespace(&pid);

	/* A process of another container has no PID here. */
	if (fd == -EADDRINUSE && pid == 0)
		return log_error_errno(
			fd,
			"%s: another ipv6natd runs in this network namespace, in another container "
			"or on the host itself; stop it first: docker stop ipv6nat, or systemctl "
			"stop ipv6natd",
			what);
	if (fd == -EADDRINUSE)
		return log_error_errno(
			fd,
			"%s: another ipv6natd (PID %d) runs in this network namespace; stop "
			"it first: systemctl stop ipv6natd, docker stop ipv6nat, or kill %d",
			what, (int)pid, (int)pid);
	if (fd < 0)
		return log_error_errno(fd, "Cannot lock this network namespace: %m");
	return fd;
}

static int render_json(const struct status *s, void *ret)
{
	return api_json_status(s, ret);
}

static int print_dry_run(struct daemon *d, bool json)
{
	_cleanup_(freep) char *text = NULL;
	int r;

	r = json ? manager_status(d->manager, false, render_json, &text)
		 : manager_plan_text(d->manager, &text);
	if (r < 0)
		return log_error_errno(r, "Cannot print the plan: %m");
	(void)fputs(text, stdout);
	if (json)
		(void)fputc('\n', stdout);
	return 0;
}

static int setup(struct daemon *d, const struct options *o, struct config *config)
{
	struct manager_options options = {
		.config_file = o->config,
		.docker_option = o->docker,
		.log_level = o->verbose ? LOG_DEBUG : -1,
		.dry_run = o->dry_run,
		.on_first_sync = d->one_shot ? on_first_sync : NULL,
		.on_pass = on_pass,
		.userdata = d,
	};
	int r;

	r = add_signals(d);
	if (r < 0)
		return log_error_errno(r, "Cannot set up the event loop: %m");
	r = manager_new(d->event, config, &options, &d->manager);
	if (r < 0)
		return r;
	if (d->one_shot) {
		r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, GIVE_UP_US, 0,
					       on_give_up, d);
		return r < 0 ? log_error_errno(r, "Cannot set up the event loop: %m") : 0;
	}
	r = control_new(d->event, o->control, &control_callbacks, d, &d->control);
	if (r < 0)
		return r;
	control_listen(d->control, manager_metrics_listen(d->manager));
	(void)sd_event_set_watchdog(d->event, true);
	return 0;
}

static int run(const struct options *o, struct config *config)
{
	struct daemon d = { .one_shot = o->dry_run || o->once };
	_cleanup_(closep) int lock = -1;
	int r;

	if (!o->dry_run) {
		lock = take_lock(o->once ? "--once" : "Cannot start");
		if (lock < 0)
			return EXIT_FAILURE;
	}
	r = sd_event_default(&d.event);
	if (r < 0) {
		(void)log_error_errno(r, "Cannot make an event loop: %m");
		return EXIT_FAILURE;
	}
	r = setup(&d, o, config);
	if (r >= 0) {
		(void)sd_notify(false, "READY=1\nSTATUS=starting: no answer from Docker yet");
		r = sd_event_loop(d.event);
		if (r == EXIT_SUCCESS && o->dry_run)
			r = print_dry_run(&d, o->json);
	}
	control_free(d.control);
	manager_free(d.manager);
	sd_event_unref(d.event);
	return r == EXIT_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int cleanup(void)
{
	_cleanup_(closep) int lock = take_lock("--cleanup");
	sd_event *event = NULL;
	int r;

	if (lock < 0)
		return EXIT_FAILURE;
	r = sd_event_default(&event);
	if (r >= 0)
		r = manager_cleanup(event);
	sd_event_unref(event);
	if (r > 0)
		log_info("Removed our tables");
	else if (r == 0)
		log_info("There was nothing of ours to remove");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int act(int argc, char **argv)
{
	struct options o = {};
	struct config config = {};
	_cleanup_(freep) char *error = NULL;
	int r;

	r = parse_options(argc, argv, &o);
	if (r <= 0)
		return -r;
	if (o.verbose)
		log_set_level(LOG_DEBUG);
	if (o.check) {
		log_error("--check is not available in this version; see ipv6natctl status");
		return EXIT_FAILURE;
	}
	if (o.cleanup)
		return cleanup();

	r = config_load(o.config, &config, &error);
	if (r < 0) {
		tell(&o, LOG_ERR, error ? error : strerror(-r));
		return EXIT_FAILURE;
	}
	if (o.check_config)
		vec_foreach (w, &config.warnings)
			tell(&o, LOG_WARNING, w->text);
	r = check_backend(&o, &config);
	if (r == 0 && !o.check_config)
		r = -run(&o, &config);
	config_done(&config);
	return -r;
}

int main(int argc, char **argv)
{
	int r;

	own_standard_fds();
	log_setup();
	r = act(argc, argv);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return r;
	(void)log_error_errno(errno, "Cannot write to standard output: %m");
	return r == EXIT_SUCCESS ? EXIT_FAILURE : r;
}
