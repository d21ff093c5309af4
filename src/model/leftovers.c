/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose they are depends on Docker. Where its version says that it never translates IPv6, all rules of
 * these shapes are left over, be they docker-ipv6nat's or Docker's own from when ip6tables was on,
 * and so are their chains. Where Docker may translate, only the rule counts that nobody but
 * docker-ipv6nat makes, and nothing else is taken away: the chains are Docker's.
 */
#include "leftovers.h"

#include "decide.h"
#include "model/native.h"

#include <stdio.h>

/* Of a name in the middle of a list, for people. */
#define NAMES_SHOWN 3

/* Text that grows; NULL once memory was short. */
struct text {
	char *text;
	size_t n;
	FILE *stream;
};

static bool text_begin(struct text *t)
{
	*t = (struct text){};
	t->stream = open_memstream(&t->text, &t->n);
	return t->stream;
}

/* The caller frees it. */
static char *text_end(struct text *t)
{
	if (fclose(t->stream) == 0)
		return t->text;
	free(t->text);
	return NULL;
}

/* Interface names may hold almost anything, and the cure goes through a shell as root. */
static bool is_plain(const char *name)
{
	static const char safe[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return name[strspn(name, safe)] == '\0';
}

/* A regular expression for the bridges' names; for none of them one that no interface can have. */
static void put_bridges(FILE *f, const struct bridge_names *bridges)
{
	const char *separator = "";

	vec_foreach (b, bridges) {
		if (!is_plain(b->name))
			continue;
		fputs(separator, f);
		for (const char *c = b->name; *c; c++)
			fprintf(f, *c == '.' ? "[.]" : "%c", *c);
		separator = "|";
	}
	if (separator[0] == '\0')
		fputc('/', f);
}

/*
 * Whatever else is in the tables stays: rules are taken away one by one, by their exact words, in
 * one transaction for each table. "/" stands for one of the bridges, as no interface is called so.
 */
static void put_begin(FILE *f, enum ip6tables kind, const struct bridge_names *bridges)
{
	fprintf(f, "%s-save | awk '{l=$0;gsub(\" (", links_ip6tables_to_string(kind));
	put_bridges(f, bridges);
	fputs(") \",\" / \",l)} ", f);
}

static void put_end(FILE *f, enum ip6tables kind)
{
	fprintf(f, "' | %s-restore --noflush", links_ip6tables_to_string(kind));
}

/* All rules and chains. DOCKER-USER goes only if there is nothing of the administrator's in it. */
static void put_cure(FILE *f, enum ip6tables kind, const struct leftovers *l)
{
	const char *user = l->user_rules ? "" : "|-USER";
	const char *user_rule = l->user_rules ? "" : "DOCKER-USER -j RETURN|";

	put_begin(f, kind, &l->bridges);
	fprintf(f,
		"/^[*]/{print;split(\"\",x)} "
		"/^:DOCKER(-ISOLATION-STAGE-[12]%s)? /{c=substr($1,2);x[c];"
		"if(c!=\"DOCKER-USER\")print \"-F \" c} ",
		user);
	fprintf(f,
		"l~\"^-A (%sFORWARD (.*-j DOCKER(-ISOLATION-STAGE-1%s)?|"
		"-o / -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT|"
		"-i / ! -o / -j ACCEPT|-i / -o / -j (ACCEPT|DROP))|"
		"(PREROUTING|OUTPUT) .*-j DOCKER|"
		"POSTROUTING (-o / -m addrtype --(dst|src)-type LOCAL|-s [^ ]+ ! -o /) "
		"-j (MASQUERADE|SNAT --to-source [^ ]+))$\"||"
		"($2==\"POSTROUTING\"&&$3==\"-s\"&&$4==$6&&$11==\"--dport\"&&$NF==\"MASQUERADE\")"
		"{sub(\"-A\",\"-D\");print} ",
		user_rule, user);
	fputs("/^COMMIT/{for(c in x)print \"-X \" c;print}", f);
	put_end(f, kind);
}

/* Beside Docker's own rules: no chain, and only what is certainly not Docker's. */
static void put_careful_cure(FILE *f, enum ip6tables kind, const struct leftovers *l)
{
	put_begin(f, kind, &l->marked);
	fputs("/^[*C]/{print} "
	      "l~\"^-A POSTROUTING -o / -m addrtype --dst-type LOCAL -j MASQUERADE$\""
	      "{sub(\"-A\",\"-D\");print}",
	      f);
	put_end(f, kind);
}

static void put_names(FILE *f, const struct bridge_names *bridges)
{
	size_t n = 0;

	vec_foreach (b, bridges) {
		if (n++ == NAMES_SHOWN)
			break;
		fprintf(f, "%s%s", n > 1 ? ", " : "", b->name);
	}
	if (bridges->n > NAMES_SHOWN)
		fprintf(f, " and %zu more", bridges->n - NAMES_SHOWN);
}

static bool any_is_there(const struct links *links, const struct bridge_names *bridges)
{
	vec_foreach (b, bridges)
		if (links_find_name(links, b->name))
			return true;
	return false;
}

static void put_message(FILE *f, const struct links *links, enum ip6tables kind,
			const struct leftovers *l)
{
	fprintf(f, "%s holds the rules of docker-ipv6nat", links_ip6tables_to_string(kind));
	if (l->marked.n == 0)
		fputs(" or of a Docker that translated", f);
	if (l->bridges.n > 0)
		fputs(" for ", f);
	put_names(f, &l->bridges);
	fputs(any_is_there(links, &l->bridges)
		      ? ": it runs beside us, or was stopped and has left them; stop it for good before "
			"they are removed"
		      : ": nothing uses them any more",
	      f);
	if (l->user_rules)
		fputs("; chain DOCKER-USER has rules of yours and is kept", f);
}

static void put_careful_message(FILE *f, enum ip6tables kind, const struct leftovers *l)
{
	fprintf(f, "%s holds rules of docker-ipv6nat for ", links_ip6tables_to_string(kind));
	put_names(f, &l->marked);
	fputs(", and Docker may translate IPv6 itself: stop docker-ipv6nat for good, remove its "
	      "rules, and restart Docker, whose chains it has flushed",
	      f);
}

/*
 * May Docker be the owner of the chains? From 28 on it has one of its own that tells. Before, its
 * chains are called as docker-ipv6nat's, and are there even if it has no network with IPv6.
 */
static bool may_be_dockers(const struct snapshot *s, const struct links *links,
			   const struct leftovers *l)
{
	if (!native_possible(s))
		return false;
	return links->docker_rules.n > 0 || l->docker_forward ||
	       !engine_at_least(&s->engine, 28, 0, 0);
}

static int report(const struct snapshot *s, const struct links *links, enum ip6tables kind,
		  struct problems *problems)
{
	const struct leftovers *l = &links->leftovers[kind];
	bool careful = may_be_dockers(s, links, l);
	_cleanup_(freep) char *message = NULL, *cure = NULL;
	struct text t;

	if (careful ? l->marked.n == 0 : l->bridges.n == 0 && !l->chains)
		return 0;
	if (!text_begin(&t))
		return -ENOMEM;
	if (careful)
		put_careful_message(t.stream, kind, l);
	else
		put_message(t.stream, links, kind, l);
	message = text_end(&t);
	if (!text_begin(&t))
		return -ENOMEM;
	if (careful)
		put_careful_cure(t.stream, kind, l);
	else
		put_cure(t.stream, kind, l);
	cure = text_end(&t);
	if (!message || !cure)
		return -ENOMEM;
	return problems_add(problems, PROBLEM_LEFTOVER_RULES, PROBLEM_WARNING, cure, "%s", message);
}

bool leftovers_isolate(const struct links *links, const char *bridge)
{
	for (unsigned kind = 0; kind < _IP6TABLES_MAX; kind++)
		vec_foreach (b, &links->leftovers[kind].bridges)
			if (strcmp(b->name, bridge) == 0)
				return true;
	return false;
}

int leftovers_report(const struct snapshot *snapshot, const struct links *links,
		     struct problems *problems)
{
	int r = 0;

	for (enum ip6tables kind = 0; kind < _IP6TABLES_MAX && r == 0; kind++)
		r = report(snapshot, links, kind, problems);
	return r;
}
