/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void api_status_donep(struct api_status *s)
{
	api_status_done(s);
}

static void reply_donep(struct client_reply *r)
{
	client_reply_done(r);
}

static int get_status(const struct ctl_options *o, struct client_reply *reply,
		      struct api_status *ret)
{
	char error[API_ERROR_TEXT];
	int r = client_request(o, "GET", "/v1/status", reply);

	if (r != CTL_OK)
		return r;
	if (api_json_status_read(reply->body, reply->n, ret, error) < 0) {
		_cleanup_(freep) char *safe = ctl_escape(error, "");

		ctl_error("are ipv6natctl and ipv6natd of the same version?",
			  "the daemon's answer cannot be understood: %s", safe ? safe : "");
		return CTL_FAILED;
	}
	return CTL_OK;
}

static int finish(int r)
{
	if (r == 0)
		return CTL_OK;
	ctl_error(NULL, "cannot print: %s", strerror(-r));
	return CTL_FAILED;
}

static int verdict(const struct api_status *s)
{
	vec_foreach (p, &s->problems)
		if (strcmp(p->severity, "notice") != 0)
			return CTL_FAILED;
	return CTL_OK;
}

static int run_status(const struct ctl_options *o)
{
	_cleanup_(api_status_donep) struct api_status s = { 0 };
	_cleanup_(reply_donep) struct client_reply reply = { 0 };
	int r = get_status(o, &reply, &s);

	if (r != CTL_OK)
		return r;
	if (o->json)
		puts(reply.body);
	else
		r = finish(status_show(o, &s));
	return r != CTL_OK ? r : verdict(&s);
}

static int run_table(const struct ctl_options *o,
		     int (*show)(const struct ctl_options *o, const struct api_status *s))
{
	_cleanup_(api_status_donep) struct api_status s = { 0 };
	_cleanup_(reply_donep) struct client_reply reply = { 0 };
	int r = get_status(o, &reply, &s);

	return r != CTL_OK ? r : finish(show(o, &s));
}

static int run_networks(const struct ctl_options *o)
{
	return run_table(o, show_networks);
}

static int run_ports(const struct ctl_options *o)
{
	return run_table(o, show_ports);
}

static int run_addresses(const struct ctl_options *o)
{
	return run_table(o, show_addresses);
}

static int print_pairs(const struct api_pair *pairs, size_t n)
{
	_cleanup_(freep) char *text = NULL;
	int r = api_json_pairs(pairs, n, &text);

	if (r == 0)
		puts(text);
	return finish(r);
}

static int run_plan(const struct ctl_options *o)
{
	_cleanup_(reply_donep) struct client_reply reply = { 0 };
	_cleanup_(freep) char *safe = NULL;
	int r = client_request(o, "GET", "/v1/plan", &reply);

	if (r != CTL_OK)
		return r;
	if (o->json)
		return print_pairs(&(struct api_pair){ "plan", reply.body }, 1);
	safe = ctl_escape(reply.body, "\n\t");
	if (!safe)
		return finish(-ENOMEM);
	fputs(safe, stdout);
	return CTL_OK;
}

static int run_post(const struct ctl_options *o, const char *path)
{
	_cleanup_(reply_donep) struct client_reply reply = { 0 };
	int r = client_request(o, "POST", path, &reply);

	if (r == CTL_OK && o->json)
		puts(reply.body);
	return r;
}

static int run_sync(const struct ctl_options *o)
{
	return run_post(o, "/v1/sync");
}

static int run_reload(const struct ctl_options *o)
{
	return run_post(o, "/v1/reload");
}

/* The daemon's, too, if there is one to ask. */
static int run_version(const struct ctl_options *o)
{
	_cleanup_(api_status_donep) struct api_status s = { 0 };
	_cleanup_(reply_donep) struct client_reply reply = { 0 };
	struct ctl_options quiet = *o;
	char error[API_ERROR_TEXT];
	const char *why = NULL;

	quiet.quiet = true;
	switch (client_request(&quiet, "GET", "/v1/status", &reply)) {
	case CTL_OK:
		if (api_json_status_read(reply.body, reply.n, &s, error) < 0)
			why = "of another version: its answer cannot be understood";
		break;
	case CTL_NO_DAEMON:
		why = "not running";
		break;
	default:
		why = "cannot be asked: see ipv6natctl status";
	}
	if (o->json)
		return print_pairs((struct api_pair[]){ { "version", IPV6NAT_VERSION },
							{ "daemon", s.version } },
				   2);
	printf("ipv6natctl %s\n", IPV6NAT_VERSION);
	if (why) {
		printf("ipv6natd: %s\n", why);
	} else {
		_cleanup_(freep) char *version = ctl_escape(s.version, "");

		printf("ipv6natd %s\n", version ? version : "");
	}
	return CTL_OK;
}

static int run_check(const struct ctl_options *o)
{
	(void)o;
	ctl_error("what stands in the way of a running daemon: ipv6natctl status",
		  "check is not available in this version");
	return CTL_FAILED;
}

static const struct verb verbs[] = {
	{ .name = "status", .run = run_status, .takes_json = true },
	{ .name = "networks",
	  .run = run_networks,
	  .takes_json = true,
	  .table = &show_networks_layout },
	{ .name = "ports", .run = run_ports, .takes_json = true, .table = &show_ports_layout },
	{ .name = "addresses",
	  .run = run_addresses,
	  .takes_json = true,
	  .table = &show_addresses_layout },
	{ .name = "plan", .run = run_plan, .takes_json = true },
	{ .name = "check", .run = run_check, .takes_json = true },
	{ .name = "monitor", .run = monitor_run, .takes_json = true },
	{ .name = "sync", .run = run_sync, .takes_json = true },
	{ .name = "reload", .run = run_reload, .takes_json = true },
	{ .name = "import-ndppd", .run = import_ndppd, .takes_file = true, .is_local = true },
	{ .name = "version", .run = run_version, .takes_json = true },
	{ .name = "help", .run = main_help, .is_local = true },
};

const struct verb *verbs_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}
