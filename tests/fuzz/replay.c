/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libFuzzer: feeds a fuzzer the files of its corpus, each of them as it is, cut
 * short, and with a few bytes changed (the same ones in every run).
 */
#include "base/own.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define INPUT_MAX (1U << 20)
#define CUTS 64
#define MUTATIONS 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of its own size, so that the sanitizer sees the first byte read beyond it. */
static void feed(const uint8_t *data, size_t size)
{
	_cleanup_(freep) uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
}

static uint32_t next_random(uint32_t *state)
{
	/* xorshift32, Marsaglia 2003 */
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void mutate(uint8_t *data, size_t size)
{
	uint32_t state = 2463534242U;

	for (unsigned i = 0; i < MUTATIONS && size > 0; i++) {
		size_t at[3];
		uint8_t old[3];

		for (unsigned k = 0; k < 3; k++) {
			at[k] = next_random(&state) % size;
			old[k] = data[at[k]];
			data[at[k]] = (uint8_t)next_random(&state);
		}
		feed(data, size);
		for (unsigned k = 3; k-- > 0;)
			data[at[k]] = old[k];
	}
}

static bool replay(const char *path, uint8_t *buffer)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "r");
	size_t size;

	if (!f) {
		perror(path);
		return false;
	}
	size = fread(buffer, 1, INPUT_MAX, f);
	feed(buffer, size);
	for (unsigned i = 0; i < CUTS; i++)
		feed(buffer, size * i / CUTS);
	mutate(buffer, size);
	return true;
}

int main(int argc, char **argv)
{
	_cleanup_(freep) uint8_t *buffer = malloc(INPUT_MAX);
	bool ok = buffer && argc > 1;

	for (int i = 1; i < argc && ok; i++)
		ok = replay(argv[i], buffer);
	printf("%s: %d inputs\n", argv[0], argc - 1);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
