/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "manager-private.h"
#include "wire/nft-text.h"

#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

/* -------------------------------------------------------------- problems */

static int report_repairs(struct manager *m)
{
	const struct repairs *p = &m->repairs;

	if (p->total == 0)
		return 0;
	if (p->not_before_us > manager_now(m))
		return problems_add(&m->own, PROBLEM_FOREIGN_REPAIR, PROBLEM_WARNING,
				    "find out who flushes the ruleset again and again",
				    "table %s is changed again and again, last by %s; repairs are "
				    "slowed down",
				    RULESET_TABLE, p->process);
	return problems_add(&m->own, PROBLEM_FOREIGN_REPAIR, PROBLEM_NOTICE, "",
			    "table %s was changed by %s and repaired, %" PRIu64 " times so far",
			    RULESET_TABLE, p->process[0] ? p->process : "another program",
			    p->total);
}

static int log_level_of(enum problem_severity s)
{
	switch (s) {
	case PROBLEM_ERROR:
		return LOG_ERR;
	case PROBLEM_WARNING:
		return LOG_WARNING;
	case PROBLEM_NOTICE:
		return LOG_NOTICE;
	case _PROBLEM_SEVERITY_MAX:
		break;
	}
	return LOG_ERR;
}

static bool is_among(const struct problems *list, const struct problem *p)
{
	vec_foreach (other, list)
		if (problems_equal(other, p))
			return true;
	return false;
}

static const struct problems *problem_list(struct manager *m, unsigned i)
{
	/* io/ndp and io/docker log their own as they happen: they are left out of the log here. */
	const struct problems *lists[] = { &m->own, &m->refused, &m->plan.problems,
					   ndp_problems(m->ndp), docker_problems(m->docker) };

	return i < N_ELEMENTS(lists) ? lists[i] : NULL;
}

void manager_refresh_problems(struct manager *m)
{
	struct problems now = {};

	problems_done(&m->own);
	if (manager_report_sysctls(m) < 0 || report_repairs(m) < 0)
		(void)log_oom();

	for (unsigned i = 0; i < 3; i++)
		vec_foreach (p, problem_list(m, i)) {
			if (p->code == PROBLEM_FOREIGN_REPAIR) /* logged when it happened */
				continue;
			if (!is_among(&m->logged, p))
				(void)log_full(log_level_of(p->severity), 0, "%s: %s%s%s",
					       problem_code_to_string(p->code), p->message,
					       p->cure[0] ? "; " : "", p->cure);
			if (problems_add(&now, p->code, p->severity, p->cure, "%s", p->message) < 0)
				(void)log_oom();
		}
	vec_foreach (p, &m->logged)
		if (!is_among(&now, p))
			log_info("Solved: %s: %s", problem_code_to_string(p->code), p->message);
	problems_done(&m->logged);
	m->logged = now;
}

static bool has_errors(struct manager *m)
{
	for (unsigned i = 0; i < 5; i++)
		vec_foreach (p, problem_list(m, i))
			if (p->severity == PROBLEM_ERROR)
				return true;
	return false;
}

/* ------------------------------------------------------------- documents */

static size_t count_elements(const struct ruleset *r)
{
	size_t n = 0;

	for (unsigned f = 0; f < _RULESET_FAMILY_MAX; f++)
		vec_foreach (s, &r->tables[f].sets)
			n += s->elements.n;
	return n;
}

static uint64_t port_connections(const struct ruleset *counters, const struct status_port *p)
{
	struct ruleset_element key = {};
	const struct ruleset_element *e;
	const struct ruleset_set *s;

	if (!status_port_translated(p))
		return 0;
	s = ruleset_find_set(&counters->tables[RULESET_IP6], plan_port_element(p, key.key));
	e = s ? vec_find(&s->elements, &key, ruleset_element_compare) : NULL;
	return e ? e->packets : 0;
}

/* The counters live in the kernel; they are read when somebody asks. */
static void read_connections(struct manager *m)
{
	struct ruleset counters = {};
	int r;

	if (m->options.dry_run || !m->planned)
		return;
	r = fw_read(m->fw, &counters);
	if (r < 0) {
		(void)log_warning_errno(r, "Cannot read the counters: %m");
		return;
	}
	vec_foreach (n, &m->plan.networks)
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports)
				p->connections = port_connections(&counters, p);
	ruleset_done(&counters);
}

static bool is_answered(const struct ndp_plan *current, const struct status_container *c)
{
	struct ndp_target key = { c->address };

	vec_foreach (i, &current->interfaces)
		if (strcmp(i->name, c->answered) == 0)
			return vec_find(&i->targets, &key, ndp_target_compare);
	return false;
}

/* What was planned and is silent all the same, e.g. because somebody else holds the address. */
static int drop_silenced(struct manager *m)
{
	struct ndp_plan current = {};
	int r = ndp_current(m->ndp, &current);

	if (r < 0)
		return r;
	vec_foreach (n, &m->plan.networks)
		vec_foreach (c, &n->containers)
			if (c->answered[0] && !is_answered(&current, c))
				c->answered[0] = '\0';
	ndp_plan_done(&current);
	return 0;
}

static const char *state_of(struct manager *m)
{
	if (!m->planned)
		return "starting";
	return docker_snapshot(m->docker)->engine.connected && m->applied && !has_errors(m)
		       ? "ok"
		       : "degraded";
}

int manager_status(struct manager *m, bool connections,
		   int (*render)(const struct status *s, void *ret), void *ret)
{
	struct status_ndps ndp = {};
	struct status s = {
		.version = IPV6NAT_VERSION,
		.state = state_of(m),
		.uptime_s = (double)(manager_now(m) - m->started_us) / 1e6,
		.engine = &docker_snapshot(m->docker)->engine,
		.backend = "nftables",
		.commits = m->commits,
		.repairs = m->repairs.total,
		.elements = count_elements(&m->observed),
		.commit_errors = m->commit_errors,
		.config_reads = m->config_reads,
		.config_errors = m->config_errors,
		.latency = &m->latency,
		.uplinks = &m->plan.uplinks,
		.networks = &m->plan.networks,
		.ndp = &ndp,
	};
	int r;

	if (connections)
		read_connections(m);
	for (unsigned i = 0; problem_list(m, i); i++)
		s.problems[i] = problem_list(m, i);
	r = drop_silenced(m);
	if (r >= 0)
		r = ndp_status(m->ndp, &ndp);
	if (r >= 0)
		r = render(&s, ret);
	status_ndps_done(&ndp);
	return r;
}

int manager_plan_text(struct manager *m, char **ret)
{
	return nft_text_encode(m->options.dry_run ? &m->plan.ruleset : &m->observed, ret);
}

const char *manager_metrics_listen(const struct manager *m)
{
	return m->config.metrics_listen;
}

bool manager_is_healthy(struct manager *m)
{
	return m->planned && m->applied && docker_snapshot(m->docker)->engine.connected;
}

void manager_announce(struct manager *m)
{
	const struct engine *e = &docker_snapshot(m->docker)->engine;
	size_t containers = 0, ports = 0;

	vec_foreach (n, &m->plan.networks) {
		containers += n->containers.n;
		vec_foreach (c, &n->containers)
			vec_foreach (p, &c->ports)
				ports += status_port_translated(p);
	}
	(void)sd_notifyf(
		false, "STATUS=%s: Docker %s%s, %zu networks, %zu containers, %zu published ports",
		state_of(m), e->version ? e->version : "not seen yet",
		e->connected ? "" : " (disconnected)", m->plan.networks.n, containers, ports);
}
