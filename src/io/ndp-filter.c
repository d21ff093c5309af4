/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel drops for us, so that it does not even wake us up. A frame comes this far if it
 * is a neighbour solicitation or advertisement at all; hop limit, code, checksum and options are
 * left to wire/nd, which counts what is wrong with them: such frames are rare, and when they are
 * not, somebody will want to know.
 */
#include "io/ndp-internal.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>

enum {
	AT_NEXT_HEADER = 14 + 6,
	AT_PAYLOAD = 14 + 40,
	FRAGMENT_SIZE = 8,
	FRAGMENT_OFFSET = 0xfff8,
};

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

int ndp_filter_attach(struct ndp_filter *f, int fd, bool exact)
{
	(void)f;
	(void)exact;
	return attach_classic(fd);
}

void ndp_filter_done(struct ndp_filter *f)
{
	f->targets_fd = close_fd(f->targets_fd);
	f->counts_fd = close_fd(f->counts_fd);
}
