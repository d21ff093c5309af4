/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once
/*
 * Typed growable arrays. VEC(type) is { type *items; size_t n; size_t n_allocated; }
 * (VEC_FIELDS where the struct needs a name);
 * all zero is empty and valid. Growing zero-fills the new item, so that it may be
 * released by the owner's done function at any stage of being filled in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VEC_FIELDS(type) \
	type *items;     \
	size_t n;        \
	size_t n_allocated

#define VEC(type)                 \
	struct {                  \
		VEC_FIELDS(type); \
	}

/* Makes room for one more zeroed item. Returns false on memory shortage. */
bool vec_grow(void **items, size_t *n_allocated, size_t n, size_t item_size);

/* Adds a zeroed item and evaluates to its address, or NULL on memory shortage. */
#define vec_add(v)                                                                              \
	({                                                                                      \
		typeof(v) v_ = (v);                                                             \
		typeof(*v_->items) *item_ = NULL;                                               \
		if (vec_grow((void **)&v_->items, &v_->n_allocated, v_->n, sizeof(*v_->items))) \
			item_ = memset(&v_->items[v_->n++], 0, sizeof(*v_->items));             \
		item_;                                                                          \
	})

/* Frees the array itself; items that own something are released by the caller before. */
#define vec_done(v)                  \
	do {                         \
		typeof(v) v_ = (v);  \
		free(v_->items);     \
		v_->items = NULL;    \
		v_->n = 0;           \
		v_->n_allocated = 0; \
	} while (0)

/* Removes item i, keeping the order. The caller has released what the item owns. */
#define vec_remove(v, i)                                        \
	do {                                                    \
		typeof(v) v_ = (v);                             \
		size_t i_ = (i);                                \
		memmove(&v_->items[i_], &v_->items[i_ + 1],     \
			(v_->n - i_ - 1) * sizeof(*v_->items)); \
		v_->n--;                                        \
	} while (0)

#define vec_sort(v, compare)                                                    \
	do {                                                                    \
		typeof(v) v_ = (v);                                             \
		if (v_->n > 1)                                                  \
			qsort(v_->items, v_->n, sizeof(*v_->items), (compare)); \
	} while (0)

/* Binary search in a vector sorted by the same compare function; NULL if absent. */
#define vec_find(v, key, compare)                                                                 \
	((typeof(*(v)->items) *)((v)->n ? bsearch((key), (v)->items, (v)->n, sizeof(*(v)->items), \
						  (compare))                                      \
					: NULL))

#define vec_foreach(item, v)                                                             \
	for (typeof(*(v)->items) *item = (v)->items,                                     \
				 *item##_end_ = (v)->items ? (v)->items + (v)->n : NULL; \
	     item != item##_end_; item++)
