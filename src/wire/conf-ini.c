/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipv6nat.conf(5). libinih splits KEY=VALUE; everything it is loose about happens in our line
 * reader first, because the library (as Debian builds it) gives the handler no line number, cuts
 * lines at 200 bytes and section names at 50, ends a section name at the first ']' (a glob may
 * hold one), takes an indented line for more of the value above, and stops at NUL bytes.
 */
#include "wire/conf-ini.h"

#include "base/own.h"
#include "wire/conf-ini-keys.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>

struct parser {
	FILE *file;
	const char *name; /* of the file, for messages */
	struct config *config;
	struct config defaults;
	unsigned line;
	const struct conf_section *section; /* NULL before the first header */
	void *object;                       /* what its keys are stored in */
	char *section_text;                 /* "[Network mail_*]", for messages */
	int result;                         /* 0, or the first error */
	char *error;                        /* its text, if there is one */
};

static _printf_(2, 0) int format_message(const struct parser *p, const char *format, va_list ap,
					 char **ret)
{
	_cleanup_(freep) char *what = vformat_text(format, ap);

	if (!what)
		return -ENOMEM;
	if (asprintf(ret, "%s:%u: %s", p->name, p->line, what) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Keeps the first error and returns it. */
static _printf_(2, 3) int fail(struct parser *p, const char *format, ...)
{
	va_list ap;

	if (p->result < 0)
		return p->result;

	va_start(ap, format);
	p->result = format_message(p, format, ap, &p->error);
	va_end(ap);
	if (p->result == 0)
		p->result = -EINVAL;
	return p->result;
}

static int fail_oom(struct parser *p)
{
	if (p->result == 0)
		p->result = -ENOMEM;
	return p->result;
}

static _printf_(2, 3) int warn(struct parser *p, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	struct config_warning *w;
	va_list ap;
	int r;

	va_start(ap, format);
	r = format_message(p, format, ap, &text);
	va_end(ap);
	if (r < 0)
		return fail_oom(p);
	w = vec_add(&p->config->warnings);
	if (!w)
		return fail_oom(p);
	w->text = steal_ptr(&text);
	return 0;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* '\r' is looked at when the line is complete: it is allowed at its end only. */
static bool is_forbidden(int c)
{
	return (c >= 0 && c < ' ' && !is_space(c)) || c == 0x7f;
}

/* Windows editors put U+FEFF first. */
static int skip_byte_order_mark(struct parser *p)
{
	int c = getc_unlocked(p->file);

	if (c != 0xef) {
		if (c != EOF)
			(void)ungetc(c, p->file);
		return 0;
	}
	c = getc_unlocked(p->file);
	if (c == 0xbb)
		c = getc_unlocked(p->file);
	return c == 0xbf ? 0 : fail(p, "this is not a text file");
}

/*
 * Reads one line without its comment and the white space around it. > 0: there is one;
 * 0: end of the file.
 */
static int read_line(struct parser *p, char *buffer, size_t size)
{
	size_t n = 0, end = 0; /* end: behind the last character that is no space */
	bool comment = false, empty = true;
	int c;

	p->line++;
	errno = 0;
	if (p->line == 1 && skip_byte_order_mark(p) < 0)
		return p->result;
	while ((c = getc_unlocked(p->file)) != EOF && c != '\n') {
		empty = false;
		if ((c == '#' || c == ';') && (end == 0 || n > end))
			comment = true;
		if (comment || (is_space(c) && end == 0))
			continue;
		if (is_forbidden(c))
			return fail(p, "control character 0x%02x", (unsigned)c);
		if (n < size)
			buffer[n] = (char)c;
		n++;
		if (!is_space(c))
			end = n;
	}
	if (c == EOF && ferror(p->file))
		return p->result = errno > 0 ? -errno : -EIO;
	if (c == EOF && empty)
		return 0;
	if (end >= size)
		return fail(p, "the line is longer than %zu bytes", size - 1);
	if (memchr(buffer, '\r', end))
		return fail(p, "control character 0x0d within the line");

	buffer[end] = '\0';
	return 1;
}

/* "Name" or "Name Argument", brackets already taken off; cut in place. */
static int open_section(struct parser *p, char *text)
{
	char *argument = text + strcspn(text, " \t");

	if (*argument != '\0') {
		*argument++ = '\0';
		argument += strspn(argument, " \t");
	}
	p->section = conf_section_find(text);
	if (!p->section)
		return fail(p, "unknown section [%s]", text);
	if (!p->section->argument && *argument != '\0')
		return fail(p, "section [%s] takes no name, but has \"%s\"", text, argument);
	if (p->section->argument && !p->section->argument_is_valid(argument))
		return fail(p, "section [%s%s%s]: expected [%s %s]", text, *argument ? " " : "",
			    argument, text, p->section->argument);

	free(p->section_text);
	if (asprintf(&p->section_text, "[%s%s%s]", text, *argument ? " " : "", argument) < 0) {
		p->section_text = NULL;
		return fail_oom(p);
	}
	p->object = p->section->open(p->config, argument);
	if (!p->object)
		return fail_oom(p);
	return 0;
}

static int check_section(struct parser *p, const char *line)
{
	_cleanup_(freep) char *text = NULL;
	size_t n = strlen(line);

	if (line[n - 1] != ']')
		return fail(p, "section header without ] at its end");
	for (line++, n -= 2; n > 0 && is_space(line[n - 1]); n--)
		;
	text = strndup(line, n);
	if (!text)
		return fail_oom(p);
	return open_section(p, text + strspn(text, " \t"));
}

/* What libinih would take for KEY=VALUE, but is not, or not ours. */
static int check_assignment(struct parser *p, const char *line)
{
	size_t n = 0;

	while ((line[n] >= 'a' && line[n] <= 'z') || (line[n] >= 'A' && line[n] <= 'Z'))
		n++;
	if (n == 0 || line[n + strspn(line + n, " \t")] != '=')
		return fail(p, "expected KEY=VALUE or [SECTION]");
	if (!p->section)
		return fail(p, "%.*s= stands before the first [SECTION]", (int)n, line);
	return 0;
}

/* ini_reader: as fgets(). It can only say "end of input", so errors wait in the parser. */
static char *reader(char *buffer, int size, void *stream)
{
	struct parser *p = stream;
	int r;

	if (p->result < 0)
		return NULL;
	r = read_line(p, buffer, (size_t)size - 1); /* leaves room for the line end */
	if (r <= 0)
		return NULL;
	if (buffer[0] == '[')
		r = check_section(p, buffer);
	else if (buffer[0] != '\0')
		r = check_assignment(p, buffer);
	if (r < 0)
		return NULL;

	/* The header is dealt with, and libinih's idea of its end differs from ours. */
	if (buffer[0] == '[')
		buffer[0] = '\0';
	strcat(buffer, "\n");
	return buffer;
}

static int handler(void *userdata, const char *section, const char *name, const char *value)
{
	struct parser *p = userdata;
	const struct conf_key *k = conf_key_find(p->section, name);
	const char *suggestion;
	int r;

	(void)section; /* always "": reader() keeps the headers for itself */
	if (!k) {
		suggestion = conf_key_suggest(p->section, name);
		return fail(p, "unknown key %s in %s%s%s", name, p->section_text,
			    suggestion ? ", keys are case-sensitive: " : "",
			    suggestion ? suggestion : "") == 0;
	}
	r = conf_key_set(p->section, k, p->object, value, p->config, &p->defaults);
	if (r == -ENOMEM)
		return fail_oom(p) == 0;
	if (r < 0)
		return fail(p, "%s=%s: expected %s", name, value, k->expected) == 0;

	if (k->without_effect && k->without_effect[0] != '\0' &&
	    strcmp(k->without_effect, value) == 0)
		return warn(p, "%s=%s is without effect yet", name, value) == 0;
	if (k->without_effect && k->without_effect[0] == '\0')
		return warn(p, "%s= in %s has no effect yet", name, p->section_text) == 0;
	return 1;
}

int conf_ini_parse(FILE *f, const char *name, struct config *config, char **ret_error)
{
	struct parser p = { .file = f, .name = name, .config = config };
	int r;

	r = config_init(&p.defaults);
	if (r < 0)
		return r;
	r = ini_parse_stream(reader, &p, handler, &p);
	if (r == -2)
		(void)fail_oom(&p);
	if (r > 0 && p.result == 0) {
		/* Something that reader() let through and libinih did not. */
		p.line = (unsigned)r;
		(void)fail(&p, "expected KEY=VALUE or [SECTION]");
	}
	config_done(&p.defaults);
	free(p.section_text);
	if (p.error)
		*ret_error = p.error;
	return p.result;
}
