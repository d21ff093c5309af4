/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel drops for us, so that it does not even wake us up. A frame comes this far if it
 * is a neighbour solicitation or advertisement at all; hop limit, code, checksum and options are
 * left to wire/nd, which counts what is wrong with them: such frames are rare, and when they are
 * not, somebody will want to know.
 */
#include "io/ndp-internal.h"

#include "base/log.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <sys/syscall.h>

enum {
	AT_NEXT_HEADER = 14 + 6,
	AT_PAYLOAD = 14 + 40,
	AT_TARGET = AT_PAYLOAD + 8,
	FRAGMENT_SIZE = 8,
	FRAGMENT_OFFSET = 0xfff8,
};

/* ------------------------------------------------------------- classic filter */

/* Jumps count the instructions between; numbers of those that are jumped to are on the right. */
static int attach_classic(int fd)
{
	struct sock_filter code[] = {
		/* Ours come back as well, and the peer's to others if the interface is promiscuous. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OTHERHOST, 13, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 12, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_NEXT_HEADER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_PAYLOAD),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_SOLICIT, 9, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 8, 7),
		/* 8: the first fragment of a solicitation, if only to be counted (RFC 6980) */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_FRAGMENT, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_PAYLOAD + 2),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FRAGMENT_OFFSET, 4, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_PAYLOAD),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_PAYLOAD + FRAGMENT_SIZE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_SOLICIT, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), /* 16 */
	};
	const struct sock_fprog program = { N_ELEMENTS(code), code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	return 0;
}

/* --------------------------------------------------------------- exact filter */

/*
 * The same in eBPF, with a map of what is answered: a scan of the whole prefix does not wake us up
 * at all. An address is mapped to NDP_DROP_NONE, or to what its solicitations are counted as.
 */
struct ndp_filter_entry {
	struct in6_addr address;
	uint32_t drop; /* enum ndp_drop */
};

#define ENTRIES_MIN 256

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int create_map(enum bpf_map_type type, uint32_t key, uint32_t value, size_t n)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key,
		.value_size = value,
		.max_entries = (uint32_t)n,
		/* Memory for those that are there, not for those that may come. */
		.map_flags = type == BPF_MAP_TYPE_HASH ? BPF_F_NO_PREALLOC : 0,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static int access_map(int command, int fd, const void *key, const void *value)
{
	union bpf_attr attr = {
		.map_fd = (uint32_t)fd,
		.key = (uintptr_t)key,
		.value = (uintptr_t)value,
	};

	return bpf(command, &attr);
}

#define INSN(c, d, s, o, i)                                                         \
	{                                                                           \
		.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) \
	}
#define MOVE(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD_FRAME(size, at) INSN(BPF_LD | (size) | BPF_ABS, 0, 0, 0, at)
#define LOAD(d, s, o) INSN(BPF_LDX | BPF_W | BPF_MEM, d, s, o, 0)
#define STORE(d, o, s) INSN(BPF_STX | BPF_W | BPF_MEM, d, s, o, 0)
#define LOAD_MAP(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* The instruction with number "from" goes on at "to" if the condition holds. */
#define JUMP(condition, d, i, from, to) \
	INSN(BPF_JMP | (condition) | BPF_K, d, 0, (to) - (from)-1, i)

enum {
	R0 = BPF_REG_0, /* results */
	R1,             /* to R4: arguments */
	R2,
	R3,
	R4,
	FRAME = BPF_REG_6, /* where LOAD_FRAME expects the context */
	TYPE = BPF_REG_7,
	DROP = BPF_REG_8,
	STACK = BPF_REG_10,

	AT_ADDRESS = -16, /* on the stack */
	AT_INDEX = -20,
};

/* A frame too short for a load ends the program with 0: not for us. */
static int load_program(int targets_fd, int counts_fd)
{
	enum {
		FRAGMENT = 6,
		ICMP = 14,
		TARGET = 18,
		COUNT = 34,
		NO = 44,
		YES = 46,
		END = 48
	};
	const struct bpf_insn code[] = {
		[0] = MOVE(FRAME, R1),
		[1] = LOAD(R0, FRAME, offsetof(struct __sk_buff, pkt_type)),
		[2] = JUMP(BPF_JEQ, R0, PACKET_OTHERHOST, 2, NO),
		[3] = JUMP(BPF_JEQ, R0, PACKET_OUTGOING, 3, NO),
		[4] = LOAD_FRAME(BPF_B, AT_NEXT_HEADER),
		[5] = JUMP(BPF_JEQ, R0, IPPROTO_ICMPV6, 5, ICMP),

		[FRAGMENT] = JUMP(BPF_JNE, R0, IPPROTO_FRAGMENT, 6, NO),
		[7] = LOAD_FRAME(BPF_H, AT_PAYLOAD + 2),
		[8] = JUMP(BPF_JSET, R0, FRAGMENT_OFFSET, 8, NO),
		[9] = LOAD_FRAME(BPF_B, AT_PAYLOAD),
		[10] = JUMP(BPF_JNE, R0, IPPROTO_ICMPV6, 10, NO),
		[11] = LOAD_FRAME(BPF_B, AT_PAYLOAD + FRAGMENT_SIZE),
		[12] = JUMP(BPF_JEQ, R0, ND_NEIGHBOR_SOLICIT, 12, YES),
		[13] = JUMP(BPF_JA, 0, 0, 13, NO),

		[ICMP] = LOAD_FRAME(BPF_B, AT_PAYLOAD),
		[15] = MOVE(TYPE, R0),
		[16] = JUMP(BPF_JEQ, TYPE, ND_NEIGHBOR_SOLICIT, 16, TARGET),
		[17] = JUMP(BPF_JNE, TYPE, ND_NEIGHBOR_ADVERT, 17, NO),

		[TARGET] = MOVE(R1, FRAME),
		[19] = SET(R2, AT_TARGET),
		[20] = MOVE(R3, STACK),
		[21] = ADD(R3, AT_ADDRESS),
		[22] = SET(R4, sizeof(struct in6_addr)),
		[23] = CALL(BPF_FUNC_skb_load_bytes),
		[24] = JUMP(BPF_JNE, R0, 0, 24, YES), /* too short: to be counted */
		[25] = LOAD_MAP(R1, targets_fd),      /* two instructions long */
		[27] = MOVE(R2, STACK),
		[28] = ADD(R2, AT_ADDRESS),
		[29] = CALL(BPF_FUNC_map_lookup_elem),
		[30] = SET(DROP, NDP_DROP_UNKNOWN),
		[31] = JUMP(BPF_JEQ, R0, 0, 31, COUNT),
		[32] = LOAD(DROP, R0, 0),
		[33] = JUMP(BPF_JEQ, DROP, NDP_DROP_NONE, 33, YES),

		[COUNT] = JUMP(BPF_JNE, TYPE, ND_NEIGHBOR_SOLICIT, 34, NO),
		[35] = STORE(STACK, AT_INDEX, DROP),
		[36] = LOAD_MAP(R1, counts_fd),
		[38] = MOVE(R2, STACK),
		[39] = ADD(R2, AT_INDEX),
		[40] = CALL(BPF_FUNC_map_lookup_elem),
		[41] = JUMP(BPF_JEQ, R0, 0, 41, NO),
		[42] = SET(R1, 1),
		[43] = INSN(BPF_STX | BPF_DW | BPF_XADD, R0, R1, 0, 0),

		[NO] = SET(R0, 0),
		[45] = EXIT,
		[YES] = SET(R0, -1),
		[47] = EXIT,
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)code,
		.insn_cnt = N_ELEMENTS(code),
		.license = (uintptr_t) "GPL",
	};

	static_assert(N_ELEMENTS(code) == END, "a jump would miss");
	return bpf(BPF_PROG_LOAD, &attr);
}

static int compare_entry(const void *a, const void *b)
{
	const struct ndp_filter_entry *x = a, *y = b;

	return inet_compare(&x->address, &y->address);
}

static int add_entry(struct ndp_filter_entries *e, const struct in6_addr *address,
		     enum ndp_drop drop)
{
	struct ndp_filter_entry *entry = vec_add(e);

	if (!entry)
		return -ENOMEM;
	entry->address = *address;
	entry->drop = drop;
	return 0;
}

static int collect_entries(const struct ndp_interface *wanted, struct ndp_filter_entries *ret)
{
	int r = 0;

	vec_foreach (target, &wanted->targets)
		if (r >= 0)
			r = add_entry(ret, &target->address, NDP_DROP_NONE);
	vec_foreach (own, &wanted->own)
		if (r >= 0)
			r = add_entry(ret, own, NDP_DROP_OWN);
	vec_sort(ret, compare_entry);
	return r;
}

/* Makes the map that holds f->entries hold *wanted. */
static int change_entries(struct ndp_filter *f, const struct ndp_filter_entries *wanted)
{
	int r = 0;

	vec_foreach (old, &f->entries)
		if (r >= 0 && !vec_find(wanted, old, compare_entry))
			r = access_map(BPF_MAP_DELETE_ELEM, f->targets_fd, &old->address, NULL);
	vec_foreach (entry, wanted) {
		const struct ndp_filter_entry *old = vec_find(&f->entries, entry, compare_entry);

		if (r >= 0 && (!old || old->drop != entry->drop))
			r = access_map(BPF_MAP_UPDATE_ELEM, f->targets_fd, &entry->address,
				       &entry->drop);
	}
	return r;
}

/* A new map with room for n, and a program that looks it up, which replaces the filter before. */
static int attach_exact(struct ndp_filter *f, int fd, const struct ndp_filter_entries *wanted)
{
	_cleanup_(closep) int program = -1;
	const size_t n = MAX_OF(wanted->n * 2, (size_t)ENTRIES_MIN);
	int r;

	vec_done(&f->entries);
	f->targets_fd = close_fd(f->targets_fd);
	f->targets_fd = create_map(BPF_MAP_TYPE_HASH, sizeof(struct in6_addr), sizeof(uint32_t), n);
	if (f->targets_fd < 0)
		return f->targets_fd;
	if (f->counts_fd < 0)
		f->counts_fd = create_map(BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(uint64_t),
					  _NDP_DROP_MAX);
	if (f->counts_fd < 0)
		return f->counts_fd;
	r = change_entries(f, wanted);
	if (r < 0)
		return r;
	program = load_program(f->targets_fd, f->counts_fd);
	if (program < 0)
		return program;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) < 0)
		return -errno;
	f->n_max = n;
	return 0;
}

static int follow_exact(struct ndp_filter *f, int fd, const struct ndp_interface *wanted)
{
	struct ndp_filter_entries entries = { 0 };
	int r = collect_entries(wanted, &entries);

	if (r >= 0)
		r = f->targets_fd < 0 || entries.n > f->n_max ? attach_exact(f, fd, &entries)
							      : change_entries(f, &entries);
	vec_done(&f->entries);
	f->entries = entries;
	return r;
}

/* -------------------------------------------------------------------- filter */

int ndp_filter_open(struct ndp_filter *f, int fd)
{
	*f = (struct ndp_filter){ .targets_fd = -1, .counts_fd = -1 };
	return attach_classic(fd);
}

/*
 * A rule would need a map of prefixes and leave the rate to us all the same, so with rules the
 * classic filter does. It also does where bpf() is refused: the kernel wants CAP_BPF.
 */
void ndp_filter_follow(struct ndp_filter *f, int fd, const struct ndp_interface *wanted)
{
	const bool was_exact = f->targets_fd >= 0;
	int r;

	if (wanted->rules.n == 0 && !f->refused) {
		r = follow_exact(f, fd, wanted);
		if (r >= 0)
			return;
		log_debug_errno(r, "%s: no filter by address, going on without: %m", wanted->name);
		f->refused = true;
	}
	f->targets_fd = close_fd(f->targets_fd);
	vec_done(&f->entries);
	if (was_exact && attach_classic(fd) < 0)
		/* Then every frame of IPv6 comes, and is sorted out by nd_parse(). */
		(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){ 0 }, sizeof(int));
}

void ndp_filter_count(struct ndp_filter *f, struct ndp_counters *c)
{
	for (uint32_t d = 0; d < _NDP_DROP_MAX && f->counts_fd >= 0; d++) {
		uint64_t n = 0;

		if (access_map(BPF_MAP_LOOKUP_ELEM, f->counts_fd, &d, &n) < 0)
			continue;
		c->solicitations += n - f->counted[d];
		c->dropped[d] += n - f->counted[d];
		f->counted[d] = n;
	}
}

void ndp_filter_done(struct ndp_filter *f)
{
	f->targets_fd = close_fd(f->targets_fd);
	f->counts_fd = close_fd(f->counts_fd);
	vec_done(&f->entries);
}
