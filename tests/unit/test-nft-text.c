/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/nft-text.h"
#include "base/own.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/icmp6.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct in6_addr address(const char *text)
{
	struct in6_addr a;

	assert_int_equal(inet_parse(text, &a), 0);
	return a;
}

static struct ruleset_set *add_set(struct ruleset_table *t, struct ruleset_set s)
{
	struct ruleset_set *new = vec_add(&t->sets);

	assert_non_null(new);
	*new = s;
	return new;
}

static struct ruleset_chain *add_chain(struct ruleset_table *t, struct ruleset_chain c)
{
	struct ruleset_chain *new = vec_add(&t->chains);

	assert_non_null(new);
	*new = c;
	return new;
}

static struct ruleset_element *add_element(struct ruleset_set *s)
{
	struct ruleset_element *e = vec_add(&s->elements);

	assert_non_null(e);
	return e;
}

static void add_name(struct ruleset_set *s, const char *name)
{
	size_t offset = 0;

	ruleset_put_name(add_element(s)->key, &offset, name);
}

static void add_name_jump(struct ruleset_set *s, const char *name, const char *chain)
{
	add_name(s, name);
	s->elements.items[s->elements.n - 1].verdict = RULESET_JUMP;
	strcpy(s->elements.items[s->elements.n - 1].chain, chain);
}

static void add_prefix(struct ruleset_set *s, const char *text, uint8_t length,
		       enum ruleset_verdict verdict, const char *chain)
{
	struct ruleset_element *e = add_element(s);
	struct in6_addr a = address(text);
	size_t offset = 0;

	ruleset_put_address(e->key, &offset, &a);
	e->prefix_length = length;
	e->verdict = verdict;
	strcpy(e->chain, chain);
}

/* host may be NULL: published on every address. */
static void add_port(struct ruleset_set *s, const char *host, uint8_t protocol, uint16_t port,
		     const char *target, uint16_t target_port)
{
	struct ruleset_element *e = add_element(s);
	struct in6_addr a;
	size_t offset = 0;

	if (host) {
		a = address(host);
		ruleset_put_address(e->key, &offset, &a);
	}
	ruleset_put_protocol(e->key, &offset, protocol);
	ruleset_put_port(e->key, &offset, port);
	a = address(target);
	offset = 0;
	ruleset_put_address(e->data, &offset, &a);
	ruleset_put_port(e->data, &offset, target_port);
}

#define RULE(c, ...)                                                        \
	do {                                                                \
		struct ruleset_rule *rule_ = vec_add(&(c)->rules);          \
		assert_non_null(rule_);                                     \
		*rule_ = (struct ruleset_rule){ .exprs = { __VA_ARGS__ } }; \
	} while (0)
#define ACCEPT                                                     \
	{                                                          \
		.kind = RULESET_VERDICT, .verdict = RULESET_ACCEPT \
	}
#define DROP                                                     \
	{                                                        \
		.kind = RULESET_VERDICT, .verdict = RULESET_DROP \
	}

static void add_sets(struct ruleset_table *t)
{
	struct ruleset_set *s;

	s = add_set(t, (struct ruleset_set){
			       .name = "pub_addr",
			       .kind = RULESET_MAP,
			       .key = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT },
			       .data = { RULESET_DADDR, RULESET_DPORT },
			       .counter = true,
		       });
	add_port(s, "2001:db8:1::10", IPPROTO_TCP, 9000, "fd00:a::a1", 9001);
	s = add_set(t, (struct ruleset_set){
			       .name = "pub_any",
			       .kind = RULESET_MAP,
			       .key = { RULESET_L4PROTO, RULESET_DPORT },
			       .data = { RULESET_DADDR, RULESET_DPORT },
			       .counter = true,
		       });
	add_port(s, NULL, IPPROTO_UDP, 53, "fd00:a::a1", 5353);
	add_port(s, NULL, IPPROTO_TCP, 8080, "fd00:a::a1", 80);
	add_port(s, NULL, IPPROTO_SCTP, 8080, "fd00:a::a1", 3868);
	add_port(s, NULL, 33, 8080, "fd00:a::a1", 80); /* DCCP: a protocol without a name here */
	s = add_set(t, (struct ruleset_set){
			       .name = "net_post",
			       .kind = RULESET_VERDICT_MAP,
			       .key = { RULESET_SADDR },
			       .interval = true,
		       });
	add_prefix(s, "fd00:a::", 64, RULESET_JUMP, "post_A");
	add_prefix(s, "fd00:b::1", 128, RULESET_RETURN, "");
	s = add_set(t, (struct ruleset_set){ .name = "net_out",
					     .kind = RULESET_VERDICT_MAP,
					     .key = { RULESET_OIFNAME } });
	add_name_jump(s, "br-a", "to_A");
	s = add_set(t, (struct ruleset_set){ .name = "bridges", .key = { RULESET_IIFNAME } });
	add_name(s, "br-a");
	add_name(s, "br*");
	add_name(s, "\" } \x1b[1m"); /* breaks out of nothing */
	add_set(t, (struct ruleset_set){
			   .name = "open",
			   .key = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT },
		   });
}

static void add_nat_chains(struct ruleset_table *t)
{
	struct ruleset_chain *c;

	c = add_chain(t, (struct ruleset_chain){
				 .name = "prerouting",
				 .base = true,
				 .nat = true,
				 .hook = RULESET_HOOK_PREROUTING,
				 .priority = -101,
			 });
	RULE(c,
	     { .kind = RULESET_MATCH_PREFIX,
	       .fields = { RULESET_DADDR },
	       .prefix = { address("fe80::"), 10 } },
	     { .kind = RULESET_VERDICT, .verdict = RULESET_RETURN });
	RULE(c, { .kind = RULESET_MATCH_FIB_LOCAL, .fields = { RULESET_DADDR } },
	     { .kind = RULESET_VERDICT, .verdict = RULESET_GOTO, .name = "publish" });
	c = add_chain(t, (struct ruleset_chain){ .name = "publish" });
	RULE(c, { .kind = RULESET_DNAT,
		  .fields = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT },
		  .name = "pub_addr" });
	RULE(c, { .kind = RULESET_DNAT,
		  .fields = { RULESET_L4PROTO, RULESET_DPORT },
		  .name = "pub_any" });
	c = add_chain(t, (struct ruleset_chain){
				 .name = "postrouting",
				 .base = true,
				 .nat = true,
				 .hook = RULESET_HOOK_POSTROUTING,
				 .priority = 99,
			 });
	RULE(c,
	     { .kind = RULESET_MATCH_PREFIX,
	       .fields = { RULESET_SADDR },
	       .prefix = { address("fd00:b::1"), 128 },
	       .invert = true },
	     { .kind = RULESET_LOOKUP_VERDICT, .fields = { RULESET_SADDR }, .name = "net_post" });
	RULE(c, { .kind = RULESET_MATCH_FIB_LOCAL, .fields = { RULESET_SADDR }, .invert = true },
	     { .kind = RULESET_SNAT, .prefix = { address("2001:db8:1::20"), 128 } });
	c = add_chain(t, (struct ruleset_chain){ .name = "post_A" });
	RULE(c, { .kind = RULESET_MATCH_NAME, .fields = { RULESET_OIFNAME }, .name = "eth0" },
	     { .kind = RULESET_MASQUERADE });
}

static void add_filter_chains(struct ruleset_table *t)
{
	struct ruleset_chain *c;

	c = add_chain(t, (struct ruleset_chain){
				 .name = "forward",
				 .base = true,
				 .hook = RULESET_HOOK_FORWARD,
				 .priority = -1,
			 });
	RULE(c,
	     { .kind = RULESET_MATCH_CT_STATE,
	       .value = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED) },
	     ACCEPT);
	RULE(c,
	     { .kind = RULESET_MATCH_CT_STATE,
	       .value = NF_CT_STATE_INVALID_BIT | NF_CT_STATE_UNTRACKED_BIT,
	       .invert = true },
	     { .kind = RULESET_LOOKUP_VERDICT, .fields = { RULESET_OIFNAME }, .name = "net_out" });
	c = add_chain(t, (struct ruleset_chain){ .name = "to_A" });
	RULE(c, { .kind = RULESET_MATCH_CT_STATUS, .value = IPS_DST_NAT }, ACCEPT);
	RULE(c,
	     { .kind = RULESET_MATCH_CT_STATUS,
	       .value = IPS_DST_NAT | IPS_SRC_NAT | 0x400,
	       .invert = true },
	     { .kind = RULESET_MATCH_SET,
	       .fields = { RULESET_DADDR, RULESET_L4PROTO, RULESET_DPORT },
	       .name = "open" },
	     ACCEPT);
	RULE(c, { .kind = RULESET_MATCH_ICMPV6_TYPE, .value = ICMP6_ECHO_REQUEST }, ACCEPT);
	RULE(c, { .kind = RULESET_MATCH_ICMPV6_TYPE, .value = 200, .invert = true }, ACCEPT);
	RULE(c,
	     { .kind = RULESET_MATCH_NAME,
	       .fields = { RULESET_IIFNAME },
	       .name = "br-*",
	       .invert = true },
	     DROP);
	RULE(c,
	     { .kind = RULESET_MATCH_SET,
	       .fields = { RULESET_IIFNAME },
	       .name = "bridges",
	       .invert = true },
	     { .kind = RULESET_VERDICT, .verdict = RULESET_JUMP, .name = "empty" });
	add_chain(t, (struct ruleset_chain){ .name = "empty" });
}

static void add_bridge_table(struct ruleset_table *t)
{
	struct ruleset_chain *c;

	t->present = true;
	add_name(add_set(t, (struct ruleset_set){ .name = "ports", .key = { RULESET_IIFNAME } }),
		 "veth1");
	c = add_chain(t, (struct ruleset_chain){
				 .name = "forward", .base = true, .hook = RULESET_HOOK_FORWARD });
	RULE(c, { .kind = RULESET_MATCH_SET, .fields = { RULESET_OIFNAME }, .name = "ports" },
	     { .kind = RULESET_MATCH_ETHER_IP6 }, { .kind = RULESET_MATCH_MULTICAST }, DROP);
}

/* Every kind of expression, set and element that there is. */
static struct ruleset sample(void)
{
	struct ruleset r = { .tables[RULESET_IP6].present = true };

	add_sets(&r.tables[RULESET_IP6]);
	add_nat_chains(&r.tables[RULESET_IP6]);
	add_filter_chains(&r.tables[RULESET_IP6]);
	add_bridge_table(&r.tables[RULESET_BRIDGE]);
	ruleset_finish(&r);
	return r;
}

/* Tags are tested with the ruleset; here they would only make the text hard to read. */
static void number_tags(struct ruleset *r)
{
	uint64_t tag = 0;

	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		vec_foreach (c, &r->tables[f].chains)
			vec_foreach (rule, &c->rules)
				rule->tag = ++tag;
}

#define TAG(x) " comment \"ipv6nat:00000000000000" x "\"\n"

static const char golden[] = "table ip6 ipv6nat\n"
			     "delete table ip6 ipv6nat\n"
			     "table ip6 ipv6nat {\n"
			     "\tset bridges {\n"
			     "\t\ttype ifname\n"
			     "\t\telements = {\n"
			     "\t\t\t\"? } ?[1m\",\n"
			     "\t\t\t\"br\\*\",\n"
			     "\t\t\t\"br-a\"\n"
			     "\t\t}\n"
			     "\t}\n"
			     "\n"
			     "\tmap net_out {\n"
			     "\t\ttype ifname : verdict\n"
			     "\t\telements = {\n"
			     "\t\t\t\"br-a\" : jump to_A\n"
			     "\t\t}\n"
			     "\t}\n"
			     "\n"
			     "\tmap net_post {\n"
			     "\t\ttype ipv6_addr : verdict\n"
			     "\t\tflags interval\n"
			     "\t\telements = {\n"
			     "\t\t\tfd00:a::/64 : jump post_A,\n"
			     "\t\t\tfd00:b::1 : return\n"
			     "\t\t}\n"
			     "\t}\n"
			     "\n"
			     "\tset open {\n"
			     "\t\ttype ipv6_addr . inet_proto . inet_service\n"
			     "\t}\n"
			     "\n"
			     "\tmap pub_addr {\n"
			     "\t\ttype ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service\n"
			     "\t\tcounter\n"
			     "\t\telements = {\n"
			     "\t\t\t2001:db8:1::10 . tcp . 9000 : fd00:a::a1 . 9001\n"
			     "\t\t}\n"
			     "\t}\n"
			     "\n"
			     "\tmap pub_any {\n"
			     "\t\ttype inet_proto . inet_service : ipv6_addr . inet_service\n"
			     "\t\tcounter\n"
			     "\t\telements = {\n"
			     "\t\t\ttcp . 8080 : fd00:a::a1 . 80,\n"
			     "\t\t\tudp . 53 : fd00:a::a1 . 5353,\n"
			     "\t\t\t33 . 8080 : fd00:a::a1 . 80,\n"
			     "\t\t\tsctp . 8080 : fd00:a::a1 . 3868\n"
			     "\t\t}\n"
			     "\t}\n"
			     "\n"
			     "\tchain empty {\n"
			     "\t}\n"
			     "\n"
			     "\tchain forward {\n"
			     "\t\ttype filter hook forward priority -1; policy accept;\n"
			     "\t\tct state established,related accept" TAG("01") "\t\tct state ! invalid,untracked oifname vmap @net_out" TAG(
				     "02") "\t}\n"
					   "\n"
					   "\tchain post_A {\n"
					   "\t\toifname \"eth0\" masquerade" TAG("03") "\t}\n"
										       "\n"
										       "\tchain postrouting {\n"
										       "\t\ttype nat hook postrouting priority 99; policy accept;\n"
										       "\t\tip6 saddr != fd00:b::1 ip6 saddr vmap @net_post" TAG("04") "\t\tfib saddr type != local snat ip6 to 2001:db8:1::20" TAG("05") "\t}\n"
																											  "\n"
																											  "\tchain prerouting {\n"
																											  "\t\ttype nat hook prerouting priority -101; policy accept;\n"
																											  "\t\tip6 daddr fe80::/10 return" TAG("06") "\t\tfib daddr type local goto publish" TAG("07") "\t}\n"
																																						       "\n"
																																						       "\tchain publish {\n"
																																						       "\t\tdnat ip6 to ip6 daddr . meta l4proto . th dport map @pub_addr" TAG("08") "\t\tdnat ip6 to meta l4proto . th dport map @pub_any" TAG("09") "\t}\n"
																																																								      "\n"
																																																								      "\tchain to_A {\n"
																																																								      "\t\tct status dnat accept" TAG("0a") "\t\tct status ! snat,dnat,0x400 ip6 daddr . meta l4proto . th dport @open accept" TAG("0b") "\t\ticmpv6 type echo-request accept" TAG("0c") "\t\ticmpv6 type != 200 accept" TAG(
																																																									      "0d") "\t\tiifname != \"br-\\*\" drop" TAG("0e") "\t\tiifname != @bridges jump empty" TAG("0f") "\t}\n"
																																																																					      "}\n"
																																																																					      "table bridge ipv6nat\n"
																																																																					      "delete table bridge ipv6nat\n"
																																																																					      "table bridge ipv6nat {\n"
																																																																					      "\tset ports {\n"
																																																																					      "\t\ttype ifname\n"
																																																																					      "\t\telements = {\n"
																																																																					      "\t\t\t\"veth1\"\n"
																																																																					      "\t\t}\n"
																																																																					      "\t}\n"
																																																																					      "\n"
																																																																					      "\tchain forward {\n"
																																																																					      "\t\ttype filter hook forward priority 0; policy accept;\n"
																																																																					      "\t\toifname @ports meta protocol ip6 meta pkttype multicast drop" TAG(
																																																																						      "10") "\t}\n"
																																																																							    "}\n";

/* The text, letter by letter; sorted, whatever the order of building was. */
static void test_golden(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct ruleset r = sample();

	(void)state;
	number_tags(&r);
	assert_int_equal(nft_text_encode(&r, &text), 0);
	assert_string_equal(text, golden);
	ruleset_done(&r);
}

/* No table, no text: nothing is said of what is not ours. */
static void test_absent(void **state)
{
	_cleanup_(freep) char *text = NULL;
	const struct ruleset r = { 0 };

	(void)state;
	assert_int_equal(nft_text_encode(&r, &text), 0);
	assert_string_equal(text, "");
}

/* A rule that was read back and is known by its tag alone is shown as such, and still loads. */
static void test_observed_rule(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct ruleset r = { .tables[RULESET_IP6].present = true };
	struct ruleset_chain *c =
		add_chain(&r.tables[RULESET_IP6], (struct ruleset_chain){ .name = "c" });

	(void)state;
	RULE(c, { 0 });
	c->rules.items[0].tag = 0xabc;
	assert_int_equal(nft_text_encode(&r, &text), 0);
	assert_non_null(strstr(text, "\t\t# comment \"ipv6nat:0000000000000abc\"\n"));
	ruleset_done(&r);
}

/* Feeds text to a command in a network namespace of its own; returns the exit status. */
static int feed(const char *command, const char *text)
{
	FILE *f = popen(command, "w");

	assert_non_null(f);
	fputs(text, f);
	return pclose(f);
}

/* nft takes the script, also a second time, and the kernel then holds all tags. */
static void test_loads(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct ruleset r = sample();
	char command[256];
	unsigned n_rules = 0;

	(void)state;
	if (system("unshare -n nft list ruleset >/dev/null 2>&1") != 0) {
		ruleset_done(&r);
		print_message("no nft, or no right to make a network namespace\n");
		skip();
	}
	for (size_t f = 0; f < _RULESET_FAMILY_MAX; f++)
		vec_foreach (c, &r.tables[f].chains)
			n_rules += c->rules.n;
	assert_int_equal(nft_text_encode(&r, &text), 0);
	ruleset_done(&r);
	snprintf(command, sizeof(command),
		 "unshare -n sh -c 't=$(cat); echo \"$t\" | nft -f - && echo \"$t\" | nft -f - && "
		 "test $(nft list ruleset | grep -c ipv6nat:) = %u'",
		 n_rules);
	assert_int_equal(feed(command, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_observed_rule),
		cmocka_unit_test(test_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
