/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an ndppd.conf means here. Containers are found by themselves, so most of it is not needed.
 * ndppd's methods auto and iface ask behind the host first; a static rule in their place could
 * answer for every neighbour of the host, so it is offered in a comment only.
 */
#include "wire/ndppd-conf.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>

#define WIDTH 96
#define INDENT "#   "

/* What man ipv6natd calls a wide rule. */
#define WIDE_RULE 112

#define NOT_REMEMBERED "not needed: no solicitation is remembered, so nothing expires"
#define NOT_ASKED "not needed: nobody is asked behind this host, so there is nothing to wait for"
#define NO_ROUTES                                                                            \
	"no counterpart: routes are not added; the networks of containers have theirs, for " \
	"others use: ip -6 route add ADDRESS dev INTERFACE"
#define NOTHING_TO_DO "the same here"

struct explanation {
	const char *name;
	const char *text;
	const char *text_if_no; /* NULL: the option is no boolean, or it makes no difference */
};

static const struct explanation top_options[] = {
	{ "route-ttl", "not needed: the kernel tells when routes change", NULL },
	{ "address-ttl", "not needed: the kernel tells when addresses change", NULL },
	{ 0 },
};

static const struct explanation proxy_options[] = {
	{ "router", "the same here: answers always say that this host is a router",
	  "no counterpart: answers always say that this host is a router, which it is for what "
	  "it answers for" },
	{ "ttl", NOT_REMEMBERED, NULL },
	{ "deadtime", NOT_REMEMBERED, NULL },
	{ "timeout", NOT_ASKED, NULL },
	{ "retries", NOT_ASKED, NULL },
	{ "keepalive", NOT_REMEMBERED, NULL },
	{ "autowire", NO_ROUTES, NOTHING_TO_DO },
	{ "promiscuous", "not needed: solicitations to all groups are received without it",
	  NOTHING_TO_DO },
	{ 0 },
};

static const struct explanation rule_options[] = {
	{ "autovia", NO_ROUTES, NOTHING_TO_DO },
	{ 0 },
};

struct writer {
	FILE *f;
	int result; /* 0 or -ENOMEM */
};

/* Breaks at spaces. */
static _printf_(2, 3) void comment(struct writer *w, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	char *state = NULL;
	size_t column = 1;
	va_list ap;

	va_start(ap, format);
	text = vformat_text(format, ap);
	va_end(ap);
	if (!text) {
		w->result = -ENOMEM;
		return;
	}
	fputc('#', w->f);
	for (char *word = strtok_r(text, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
		size_t n = strlen(word);

		if (column > strlen(INDENT) && column + 1 + n > WIDTH) {
			fputs("\n" INDENT, w->f);
			column = strlen(INDENT);
		} else {
			fputc(' ', w->f);
			column++;
		}
		fputs(word, w->f);
		column += n;
	}
	fputc('\n', w->f);
}

/* ----------------------------------------------------------------- options */

static const struct explanation *find_explanation(const struct explanation *known, const char *name)
{
	for (; known->name; known++)
		if (strcmp(known->name, name) == 0)
			return known;
	return NULL;
}

/* As ndppd: whatever is not yes is no. */
static bool is_yes(const char *value)
{
	return strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0;
}

static void write_options(struct writer *w, const struct ndppd_options *options,
			  const struct explanation *known)
{
	unsigned seen = 0;

	vec_foreach (o, options) {
		const struct explanation *e = find_explanation(known, o->name);
		const char *text = "ndppd does not know this here and ignores it";
		unsigned bit = e ? 1U << (e - known) : 0;

		if (seen & bit)
			text = "ndppd takes the first one and ignores this";
		else if (e)
			text = e->text_if_no && !is_yes(o->value) ? e->text_if_no : e->text;
		seen |= bit;
		comment(w, "line %u, %s%s%s: %s.", o->line, o->name, o->value[0] ? " " : "",
			o->value, text);
	}
}

/* ------------------------------------------------------------------- rules */

/* By their names; bridges may have others. */
static bool is_of_docker(const char *interface)
{
	if (strcmp(interface, "docker0") == 0 || strcmp(interface, "docker_gwbridge") == 0)
		return true;
	return strncmp(interface, "br-", 3) == 0 && strlen(interface) == 15 &&
	       strspn(interface + 3, "0123456789abcdef") == 12;
}

static bool is_static(const struct ndppd_rule *r)
{
	return r->method == NDPPD_METHOD_NONE || r->method == NDPPD_METHOD_STATIC;
}

static void explain_static(struct writer *w, const struct ndppd_rule *r, const char *prefix)
{
	comment(w,
		"line %u, rule %s {%s}: every address of it is answered, whether somebody has it or "
		"not. Containers need no rule: they are answered without it.%s",
		r->line, prefix, r->method == NDPPD_METHOD_STATIC ? " static " : "",
		r->prefix.length < WIDE_RULE ? " It is wide: narrow it to what is in use." : "");
	if (r->method == NDPPD_METHOD_NONE)
		comment(w,
			"line %u: the rule names no method; ndppd 0.2.5 takes that for static, "
			"later ones refuse it.",
			r->line);
}

static void explain_asking(struct writer *w, const struct ndppd_rule *r, const char *prefix)
{
	static const char nearest[] =
		"For others, such as virtual machines, nobody is asked here. The nearest is the rule "
		"below, which answers for every address of it, whether somebody has it or not, and "
		"for neighbours that have one: keep it narrow.";

	if (r->method == NDPPD_METHOD_AUTO)
		comment(w,
			"line %u, rule %s { auto }: not needed for containers, which are found by "
			"themselves. %s",
			r->line, prefix, nearest);
	else if (is_of_docker(r->interface))
		comment(w,
			"line %u, rule %s { iface %s }: not needed: the interface is Docker's, and "
			"containers are found by themselves.",
			r->line, prefix, r->interface);
	else
		comment(w,
			"line %u, rule %s { iface %s }: not needed if the interface is the bridge of "
			"a Docker network: containers are found by themselves. %s",
			r->line, prefix, r->interface, nearest);
}

static void write_rule(struct writer *w, const struct ndppd_rule *r)
{
	char prefix[INET_PREFIX_TEXT];

	inet_prefix_format(&r->prefix, prefix);
	if (is_static(r))
		explain_static(w, r, prefix);
	else
		explain_asking(w, r, prefix);
	if (r->ambiguous)
		comment(w,
			"line %u: the rule names several methods; ndppd 0.2.5 takes this one, later "
			"ones refuse it.",
			r->line);
	write_options(w, &r->options, rule_options);
	if (is_static(r))
		fprintf(w->f, "Prefix=%s\n", prefix);
	else if (r->method == NDPPD_METHOD_AUTO || !is_of_docker(r->interface))
		fprintf(w->f, "#Prefix=%s\n", prefix);
}

static void write_proxy(struct writer *w, const struct ndppd_proxy *p)
{
	bool active = false;

	vec_foreach (r, &p->rules)
		active = active || is_static(r);
	/* An empty section would not be wrong, but look as if it did something. */
	fprintf(w->f, "\n%s[Proxy %s]\n", active ? "" : "#", p->interface);
	if (p->rules.n == 0)
		comment(w, "line %u, proxy %s: without a rule ndppd answers nothing there.",
			p->line, p->interface);
	write_options(w, &p->options, proxy_options);
	vec_foreach (r, &p->rules)
		write_rule(w, r);
}

/* ----------------------------------------------------------------- uplinks */

static bool is_repeated(const struct ndppd_conf *c, const struct ndppd_proxy *p)
{
	for (const struct ndppd_proxy *other = c->proxies.items; other < p; other++)
		if (strcmp(other->interface, p->interface) == 0)
			return true;
	return false;
}

static void write_uplinks(struct writer *w, const struct ndppd_conf *c)
{
	bool any = false;

	vec_foreach (p, &c->proxies)
		any = any || !is_of_docker(p->interface);
	if (any) {
		fputs("\n[Uplink]\n", w->f);
		comment(w,
			"Where ndppd answers. Other interfaces that lead outside belong here, too; "
			"without this section it is those with a default route.");
	}
	vec_foreach (p, &c->proxies)
		if (is_repeated(c, p))
			continue;
		else if (is_of_docker(p->interface))
			comment(w, "line %u, proxy %s: the interface is Docker's, and no uplink.",
				p->line, p->interface);
		else
			fprintf(w->f, "Interface=%s\n", p->interface);
}

static void write_all(struct writer *w, const struct ndppd_conf *c)
{
	comment(w, "Made from an ndppd.conf, to whose lines the comments refer. Stop ndppd before "
		   "ipv6natd starts: otherwise both answer.");
	comment(w,
		"Containers with addresses of an uplink's prefix are answered without any rule.");
	if (c->open_comment > 0)
		comment(w,
			"line %u: a comment begins here that is never closed: ndppd ignores all "
			"the rest.",
			c->open_comment);
	if (c->proxies.n == 0)
		comment(w, "There is no proxy in it, so ndppd answers nothing.");
	write_options(w, &c->options, top_options);
	write_uplinks(w, c);
	vec_foreach (p, &c->proxies)
		write_proxy(w, p);
}

int ndppd_conf_to_ini(const struct ndppd_conf *c, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	struct writer w = { 0 };
	size_t size = 0;

	w.f = open_memstream(&text, &size);
	if (!w.f)
		return -ENOMEM;
	write_all(&w, c);
	if (ferror(w.f))
		w.result = -ENOMEM;
	if (fclose(w.f) != 0)
		w.result = -ENOMEM;
	if (w.result == 0)
		*ret = steal_ptr(&text);
	return w.result;
}
