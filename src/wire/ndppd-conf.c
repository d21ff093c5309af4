/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The format: NAME [=] [VALUE] [{ ... }], all but the block on one line; several may follow one
 * another on a line. Comments are # and // to the end of the line, but not within a value, and
 * C comments. What ndppd does not know it ignores, and so do we, but it is kept to be named.
 * Where ndppd ignores what can only be a mistake, or would hang, we refuse instead: a block that
 * begins on a line of its own, characters that are no text, braces that do not match.
 */
#include "wire/ndppd-conf.h"

#include <errno.h>
#include <stdarg.h>

#define MAX_DEPTH 8
#define MAX_WORD 255
#define MAX_STATEMENTS 65536
#define MAX_PROXIES 256

enum scope_kind {
	SCOPE_TOP,
	SCOPE_PROXY,
	SCOPE_RULE,
	SCOPE_IGNORED,
};

struct scope {
	enum scope_kind kind;
	unsigned line;
	struct ndppd_proxy *proxy;
	struct ndppd_rule *rule;
};

struct statement {
	unsigned line;
	char name[MAX_WORD + 1];
	char value[MAX_WORD + 1];
	bool has_block;
};

struct parser {
	const char *p, *end;
	const char *name; /* of the file, for messages */
	unsigned line;
	unsigned n_statements;
	struct ndppd_conf *conf;
	char *error;
	struct scope scopes[MAX_DEPTH];
	size_t depth; /* the innermost one */
};

static _printf_(3, 4) int fail(struct parser *p, unsigned line, const char *format, ...)
{
	_cleanup_(freep) char *what = NULL;
	va_list ap;

	va_start(ap, format);
	what = vformat_text(format, ap);
	va_end(ap);
	if (!what)
		return -ENOMEM;
	if (asprintf(&p->error, "%s:%u: %s", p->name, line, what) < 0) {
		p->error = NULL;
		return -ENOMEM;
	}
	return -EINVAL;
}

/* -------------------------------------------------------------- characters */

/* '\0' at the end; there is none within the text. */
static char peek(const struct parser *p, size_t i)
{
	return i < (size_t)(p->end - p->p) ? p->p[i] : '\0';
}

static void advance(struct parser *p)
{
	p->line += *p->p == '\n';
	p->p++;
}

/* The locale has nothing to say here. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_graph(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* As ndppd does, for which the star that opens a comment may close it, too. */
static void skip_block_comment(struct parser *p)
{
	unsigned line = p->line;

	while (p->p < p->end) {
		if (peek(p, 0) == '*' && peek(p, 1) == '/') {
			p->p += 2;
			return;
		}
		advance(p);
	}
	p->conf->open_comment = line;
}

/* Block comments may lead to another line even where line ends are not skipped. */
static void skip(struct parser *p, bool line_ends)
{
	for (;;) {
		while (is_space(peek(p, 0)) && (line_ends || peek(p, 0) != '\n'))
			advance(p);
		if (peek(p, 0) == '#' || (peek(p, 0) == '/' && peek(p, 1) == '/'))
			while (p->p < p->end && *p->p != '\n')
				advance(p);
		else if (peek(p, 0) == '/' && peek(p, 1) == '*')
			skip_block_comment(p);
		else
			return;
	}
}

/* -------------------------------------------------------------- statements */

static int unexpected(struct parser *p)
{
	char c = peek(p, 0);

	if (c == '{')
		return fail(p, p->line,
			    "\"{\" has to stand on the line of its proxy or rule, otherwise ndppd "
			    "ignores the block");
	if (is_graph(c))
		return fail(p, p->line, "unexpected character \"%c\"", c);
	return fail(p, p->line, "unexpected character 0x%02x", (unsigned char)c);
}

static int take_word(struct parser *p, size_t n, char ret[static MAX_WORD + 1])
{
	if (n > MAX_WORD)
		return fail(p, p->line, "a word of more than %d characters", MAX_WORD);
	memcpy(ret, p->p, n);
	ret[n] = '\0';
	p->p += n;
	return 0;
}

/* ndppd leaves the closing quote in its input, and fails later; what is meant is clear. */
static int read_quoted(struct parser *p, char ret[static MAX_WORD + 1])
{
	char quote = *p->p++;
	size_t n = 0;
	int r;

	while (peek(p, n) != quote && (is_graph(peek(p, n)) || peek(p, n) == ' '))
		n++;
	if (peek(p, n) != quote)
		return fail(p, p->line, "a quote is not closed");
	r = take_word(p, n, ret);
	p->p++;
	return r;
}

static int read_value(struct parser *p, char ret[static MAX_WORD + 1])
{
	size_t n = 0;

	if (peek(p, 0) == '"' || peek(p, 0) == '\'')
		return read_quoted(p, ret);
	while (is_graph(peek(p, n)) && peek(p, n) != '{' && peek(p, n) != '}')
		n++;
	return take_word(p, n, ret);
}

static int read_statement(struct parser *p, struct statement *ret)
{
	size_t n = 0;
	int r;

	if (++p->n_statements > MAX_STATEMENTS)
		return fail(p, p->line, "more than %d statements", MAX_STATEMENTS);
	ret->line = p->line;
	while (is_name(peek(p, n)))
		n++;
	if (n == 0)
		return unexpected(p);
	r = take_word(p, n, ret->name);
	if (r < 0)
		return r;
	skip(p, false);
	if (peek(p, 0) == '=') {
		p->p++;
		skip(p, false);
	}
	r = read_value(p, ret->value);
	if (r < 0)
		return r;
	skip(p, false);
	ret->has_block = peek(p, 0) == '{';
	p->p += ret->has_block;
	return 0;
}

/* ----------------------------------------------------------------- meaning */

/* Stricter than the kernel: it has to fit into our own configuration, too. */
static int set_interface(struct parser *p, const struct statement *s, char ret[static IFNAMSIZ])
{
	if (s->value[0] == '\0')
		return fail(p, s->line, "%s without the name of an interface", s->name);
	if (strlen(s->value) >= IFNAMSIZ || strpbrk(s->value, "/:;#[]\"' ") ||
	    strcmp(s->value, ".") == 0 || strcmp(s->value, "..") == 0 ||
	    strcmp(s->value, "auto") == 0)
		return fail(p, s->line, "%s %s: this is no name for an interface", s->name,
			    s->value);
	strcpy(ret, s->value);
	return 0;
}

static int add_option(const struct statement *s, struct ndppd_options *options)
{
	struct ndppd_option *o = vec_add(options);

	if (!o)
		return -ENOMEM;
	o->line = s->line;
	o->name = strdup(s->name);
	o->value = strdup(s->value);
	return o->name && o->value ? 0 : -ENOMEM;
}

static int add_proxy(struct parser *p, const struct statement *s, struct scope *inner)
{
	struct ndppd_proxy *proxy;

	if (p->conf->proxies.n >= MAX_PROXIES)
		return fail(p, s->line, "more than %d proxies", MAX_PROXIES);
	proxy = vec_add(&p->conf->proxies);
	if (!proxy)
		return -ENOMEM;
	proxy->line = s->line;
	*inner = (struct scope){ SCOPE_PROXY, s->line, proxy, NULL };
	return set_interface(p, s, proxy->interface);
}

static int add_rule(struct parser *p, const struct statement *s, struct scope *inner)
{
	struct ndppd_rule *rule = vec_add(&inner->proxy->rules);

	if (!rule)
		return -ENOMEM;
	rule->line = s->line;
	*inner = (struct scope){ SCOPE_RULE, s->line, NULL, rule };
	if (s->value[0] == '\0')
		return fail(p, s->line, "rule without an IPv6 address or prefix");
	rule->prefix.length = 128;
	if (inet_parse(s->value, &rule->prefix.address) == 0 ||
	    inet_prefix_parse(s->value, &rule->prefix) == 0)
		return 0;
	return fail(p, s->line, "rule %s: this is no IPv6 address or prefix", s->value);
}

static int set_method(struct parser *p, const struct statement *s, enum ndppd_method method,
		      struct ndppd_rule *rule)
{
	if (rule->method != NDPPD_METHOD_NONE && rule->method != method)
		rule->ambiguous = true;
	if (method == NDPPD_METHOD_IFACE && rule->method != NDPPD_METHOD_IFACE) {
		int r = set_interface(p, s, rule->interface);

		if (r < 0)
			return r;
	}
	rule->method = MAX_OF(rule->method, method);
	return 0;
}

/* *inner comes as the scope that the statement is in, and leaves as that of its block. */
static int add_statement(struct parser *p, const struct statement *s, struct scope *inner)
{
	static const char *const methods[] = {
		[NDPPD_METHOD_STATIC] = "static",
		[NDPPD_METHOD_AUTO] = "auto",
		[NDPPD_METHOD_IFACE] = "iface",
	};
	struct scope outer = *inner;

	if (outer.kind == SCOPE_TOP && strcmp(s->name, "proxy") == 0)
		return add_proxy(p, s, inner);
	if (outer.kind == SCOPE_PROXY && strcmp(s->name, "rule") == 0)
		return add_rule(p, s, inner);

	*inner = (struct scope){ SCOPE_IGNORED, s->line, NULL, NULL };
	switch (outer.kind) {
	case SCOPE_TOP:
		return add_option(s, &p->conf->options);
	case SCOPE_PROXY:
		return add_option(s, &outer.proxy->options);
	case SCOPE_RULE:
		for (unsigned m = NDPPD_METHOD_STATIC; m < N_ELEMENTS(methods); m++)
			if (strcmp(s->name, methods[m]) == 0)
				return set_method(p, s, m, outer.rule);
		return add_option(s, &outer.rule->options);
	case SCOPE_IGNORED:
		break;
	}
	return 0;
}

static int close_scope(struct parser *p)
{
	if (p->depth == 0)
		return fail(p, p->line, "\"}\" without \"{\"");
	p->depth--;
	p->p++;
	return 0;
}

static int parse_statement(struct parser *p)
{
	struct scope inner = p->scopes[p->depth];
	struct statement s = {};
	int r = read_statement(p, &s);

	if (r == 0)
		r = add_statement(p, &s, &inner);
	if (r < 0 || !s.has_block)
		return r;
	if (p->depth + 1 >= MAX_DEPTH)
		return fail(p, s.line, "too many blocks within blocks");
	p->scopes[++p->depth] = inner;
	return 0;
}

static int parse(struct parser *p, size_t n)
{
	int r = 0;

	if (n > NDPPD_CONF_MAX)
		return fail(p, 1, "the file is larger than %zu bytes", NDPPD_CONF_MAX);
	if (memchr(p->p, '\0', n))
		return fail(p, 1, "this is not a text file");
	while (r == 0) {
		skip(p, true);
		if (p->p == p->end)
			break;
		r = *p->p == '}' ? close_scope(p) : parse_statement(p);
	}
	if (r == 0 && p->depth > 0)
		return fail(p, p->scopes[p->depth].line, "this block is not closed");
	return r;
}

int ndppd_conf_parse(const char *text, size_t n, const char *name, struct ndppd_conf *ret,
		     char **ret_error)
{
	struct ndppd_conf c = { 0 };
	struct parser p = { .p = text, .end = text + n, .name = name, .line = 1, .conf = &c };
	int r = parse(&p, n);

	if (r < 0) {
		ndppd_conf_done(&c);
		if (p.error)
			*ret_error = p.error;
		return r;
	}
	*ret = c;
	return 0;
}

static void options_done(struct ndppd_options *options)
{
	vec_foreach (o, options) {
		free(o->name);
		free(o->value);
	}
	vec_done(options);
}

void ndppd_conf_done(struct ndppd_conf *c)
{
	vec_foreach (proxy, &c->proxies) {
		vec_foreach (rule, &proxy->rules)
			options_done(&rule->options);
		vec_done(&proxy->rules);
		options_done(&proxy->options);
	}
	vec_done(&c->proxies);
	options_done(&c->options);
}
