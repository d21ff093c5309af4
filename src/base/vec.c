/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/vec.h"

bool vec_grow(void **items, size_t *n_allocated, size_t n, size_t item_size)
{
	size_t wanted;
	void *p;

	if (n < *n_allocated)
		return true;
	wanted = *n_allocated ? *n_allocated * 2 : 4;
	p = reallocarray(*items, wanted, item_size);
	if (!p)
		return false;
	*items = p;
	*n_allocated = wanted;
	return true;
}
