/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int main_help(const struct ctl_options *o)
{
	(void)o;
	puts("Usage: ipv6natctl [OPTIONS] COMMAND\n"
	     "\n"
	     "  status             the whole picture, what is wrong first\n"
	     "  networks           networks with their mode, and why\n"
	     "  ports              published ports and their connections\n"
	     "  addresses          what is answered on the uplinks\n"
	     "  plan               the ruleset as applied, in nft syntax\n"
	     "  monitor            follow changes as they happen\n"
	     "  sync               observe and reconcile now\n"
	     "  reload             read the configuration again\n"
	     "  import-ndppd FILE  print our configuration for an ndppd.conf\n"
	     "  version | help     of this program and the daemon | this text\n"
	     "\n"
	     "      --control PATH      the daemon's socket (" CTL_DEFAULT_CONTROL ")\n"
	     "      --host [USER@]HOST  another host's daemon, through ssh\n"
	     "  -o, --output COLUMNS    which columns of a table: A,B or +A,B for more\n"
	     "      --json              for programs\n"
	     "      --no-legend         no headings\n"
	     "      --no-color          no colours\n"
	     "      --version, --help   as the commands, but without asking the daemon\n"
	     "Exit status: 0 fine; 1 failed, or status has errors or warnings; 2 usage;\n"
	     "3 no daemon behind the socket.");
	return CTL_OK;
}

static _printf_(1, 2) int usage_error(const char *format, ...)
{
	va_list ap;

	fputs("ipv6natctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("\n  see: ipv6natctl --help\n", stderr);
	return CTL_USAGE;
}

static bool want_color(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 &&
	       !(no_color && no_color[0] != '\0');
}

enum {
	OPTION_CONTROL = 0x100,
	OPTION_HOST,
	OPTION_JSON,
	OPTION_NO_LEGEND,
	OPTION_NO_COLOR,
	OPTION_VERSION,
};

/* < 0: go on with *o and *ret_verb; else exit with this. */
static int parse_options(int argc, char **argv, struct ctl_options *o, const char **ret_verb)
{
	static const struct option options[] = {
		{ "control", required_argument, NULL, OPTION_CONTROL },
		{ "host", required_argument, NULL, OPTION_HOST },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "no-legend", no_argument, NULL, OPTION_NO_LEGEND },
		{ "no-color", no_argument, NULL, OPTION_NO_COLOR },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case OPTION_CONTROL:
			o->control = optarg;
			break;
		case OPTION_HOST:
			o->host = optarg;
			break;
		case 'o':
			o->columns = optarg;
			break;
		case OPTION_JSON:
			o->json = true;
			break;
		case OPTION_NO_LEGEND:
			o->no_legend = true;
			break;
		case OPTION_NO_COLOR:
			o->color = false;
			break;
		case OPTION_VERSION:
			puts("ipv6natctl " IPV6NAT_VERSION);
			return CTL_OK;
		case 'h':
			return main_help(o);
		default: /* getopt_long() has said what */
			fputs("  see: ipv6natctl --help\n", stderr);
			return CTL_USAGE;
		}
	}
	*ret_verb = optind < argc ? argv[optind] : NULL;
	return -1;
}

static int check_usage(const struct ctl_options *o, const struct verb *verb, int n_arguments)
{
	size_t chosen[TABLE_MAX_COLUMNS];
	int expected = verb->takes_file;

	if (n_arguments < expected)
		return usage_error("%s: FILE is missing", verb->name);
	if (n_arguments > expected)
		return usage_error("%s: too many arguments", verb->name);
	if (o->json && !verb->takes_json)
		return usage_error("%s has no --json", verb->name);
	if (o->columns && !verb->table)
		return usage_error("%s has no columns to choose", verb->name);
	if (verb->table && table_choose(verb->table, o, chosen) < 0)
		return CTL_USAGE;
	if (o->control && o->control[0] == '\0')
		return usage_error("--control needs a path");
	if (o->host && verb->is_local)
		return usage_error("%s asks no daemon: it has no --host", verb->name);
	if (o->host && !remote_check(o->host))
		return usage_error("--host needs the name or address of a host");
	return CTL_OK;
}

static int run(int argc, char **argv)
{
	struct ctl_options o = { .color = want_color() };
	_cleanup_(freep) char *safe = NULL;
	const struct verb *verb;
	const char *name = NULL;
	int r;

	r = parse_options(argc, argv, &o, &name);
	if (r >= 0)
		return r;
	if (!name)
		return usage_error("which command?");
	verb = verbs_find(name);
	safe = ctl_escape(name, "");
	if (!verb)
		return usage_error("unknown command \"%s\"", safe ? safe : "");
	r = check_usage(&o, verb, argc - optind - 1);
	if (r != CTL_OK)
		return r;
	o.file = verb->takes_file ? argv[optind + 1] : NULL;
	return o.host ? remote_run(&o, verb->name) : verb->run(&o);
}

int main(int argc, char **argv)
{
	int r;

	own_standard_fds();
	(void)setlocale(LC_ALL, "");
	r = run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		ctl_error(NULL, "cannot write: %s", strerror(errno));
		return r == CTL_OK ? CTL_FAILED : r;
	}
	return r;
}
