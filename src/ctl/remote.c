/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --host: the same command by the ipv6natctl of that host, through ssh. Its program understands its
 * daemon, whatever the version here.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SSH_FAILED 255 /* ssh(1): an error of its own */
#define CANNOT_RUN 126 /* POSIX: whoever was to run a command has said why it cannot */
#define NOT_FOUND 127

bool remote_check(const char *host)
{
	/* ssh would take it for an option; "--" alone does not help its ProxyCommand */
	return host[0] != '\0' && host[0] != '-' && !strstr(host, "@-");
}

/* For the shell of that host: 'it'\''s' */
static void print_quoted(FILE *f, const char *word)
{
	fputs(" '", f);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	fputc('\'', f);
}

static char *make_command(const struct ctl_options *o, const char *verb)
{
	char *command = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&command, &size);

	if (!f)
		return NULL;
	fputs("ipv6natctl", f);
	if (o->control) {
		fputs(" --control", f);
		print_quoted(f, o->control);
	}
	if (o->columns) {
		fputs(" --output", f);
		print_quoted(f, o->columns);
	}
	fprintf(f, "%s%s%s %s", o->json ? " --json" : "", o->no_legend ? " --no-legend" : "",
		o->color ? "" : " --no-color", verb);
	if (fclose(f) == 0)
		return command;
	free(command);
	return NULL;
}

/* With a terminal there if there is one here: its width, its colours, its interrupt key. */
static void exec_ssh(const char *host, const char *command, pid_t parent)
{
	bool on_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

	/* whoever ends us ends ssh */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(SSH_FAILED);
	/* -n: standard input is the caller's, e.g. the list of hosts of a loop */
	(void)execlp("ssh", "ssh", "-x", on_terminal ? "-t" : "-nT", "-o", "LogLevel=ERROR", "--",
		     host, command, NULL);
	ctl_error("install openssh-client", "cannot run ssh: %s", strerror(errno));
	_exit(CANNOT_RUN);
}

static int wait_for(pid_t pid, int *ret)
{
	while (waitpid(pid, ret, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int remote_run(const struct ctl_options *o, const char *verb)
{
	_cleanup_(freep) char *command = make_command(o, verb);
	_cleanup_(freep) char *host = ctl_escape(o->host, "");
	pid_t pid, parent = getpid();
	int r, status = 0;

	if (!command || !host) {
		ctl_error(NULL, "out of memory");
		return CTL_FAILED;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exec_ssh(o->host, command, parent);
	r = pid < 0 ? -errno : wait_for(pid, &status);
	if (r < 0) {
		ctl_error(NULL, "cannot run ssh: %s", strerror(-r));
		return CTL_FAILED;
	}
	if (WIFSIGNALED(status)) {
		(void)raise(WTERMSIG(status));
		return CTL_FAILED;
	}
	switch (WEXITSTATUS(status)) {
	case SSH_FAILED:
		ctl_error("try: ssh -- HOST true", "no connection to %s through ssh", host);
		return CTL_FAILED;
	case CANNOT_RUN:
		return CTL_FAILED;
	case NOT_FOUND:
		ctl_error("install it there", "%s has no ipv6natctl", host);
		return CTL_FAILED;
	default:
		return WEXITSTATUS(status);
	}
}
