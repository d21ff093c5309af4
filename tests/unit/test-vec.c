/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growable arrays: the macros in all their states. */
#include "unit/cmocka.h"

#include "base/vec.h"

/* What is too large is to return NULL, as it does without ASan. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

struct numbers {
	VEC_FIELDS(int);
};

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void fill(struct numbers *v, int n)
{
	for (int i = 0; i < n; i++) {
		int *item = vec_add(v);

		assert_non_null(item);
		assert_int_equal(*item, 0);
		*item = (i * 7) % n;
	}
}

/* Property: all zero is an empty vector, for every operation. */
static void test_empty(void **state)
{
	struct numbers v = {};
	int key = 1;

	(void)state;
	vec_foreach (i, &v)
		fail_msg("an item %d in an empty vector", *i);
	vec_sort(&v, compare_ints);
	assert_null(vec_find(&v, &key, compare_ints));
	vec_done(&v);
	assert_null(v.items);
}

/* Property: items survive growing, new ones are zero, also where an old one has been. */
static void test_add(void **state)
{
	struct numbers v = {};
	int n = 0;

	(void)state;
	fill(&v, 1000);
	assert_int_equal(v.n, 1000);
	assert_true(v.n_allocated >= v.n);
	vec_foreach (i, &v)
		assert_int_equal(*i, n++ * 7 % 1000);
	v.n = 0;
	fill(&v, 1000);
	vec_done(&v);
	assert_int_equal(v.n + v.n_allocated, 0);
}

/* Property: sorted, everything is found, and nothing else. */
static void test_sort_and_find(void **state)
{
	struct numbers v = {};
	int none[] = { -1, 101 };

	(void)state;
	fill(&v, 101);
	vec_sort(&v, compare_ints);
	for (int i = 0; i < 101; i++) {
		assert_int_equal(v.items[i], i);
		assert_ptr_equal(vec_find(&v, &i, compare_ints), &v.items[i]);
	}
	assert_null(vec_find(&v, &none[0], compare_ints));
	assert_null(vec_find(&v, &none[1], compare_ints));
	vec_done(&v);
}

/* Property: removing keeps the order, at either end too. */
static void test_remove(void **state)
{
	struct numbers v = {};

	(void)state;
	fill(&v, 5); /* 0 2 4 1 3 */
	vec_remove(&v, 4);
	vec_remove(&v, 0);
	vec_remove(&v, 1);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.items[0], 2);
	assert_int_equal(v.items[1], 1);
	vec_remove(&v, 0);
	vec_remove(&v, 0);
	assert_int_equal(v.n, 0);
	vec_done(&v);
}

/* Property: each argument of a macro is evaluated once. */
static void test_arguments_once(void **state)
{
	struct numbers v[2] = {}, *p = v;
	size_t i = 0;

	(void)state;
	assert_non_null(vec_add(p++));
	assert_ptr_equal(p, v + 1);
	assert_int_equal(v[0].n, 1);
	vec_remove(&v[0], i++);
	assert_int_equal(i, 1);
	vec_done(--p);
	assert_ptr_equal(p, v);
}

/* Property: more than there is memory for is refused, and the old items stay. */
static void test_no_memory(void **state)
{
	size_t n_allocated = SIZE_MAX / 2;
	int item = 5;
	void *items = &item;

	(void)state;
	assert_false(vec_grow(&items, &n_allocated, n_allocated, sizeof(item)));
	assert_ptr_equal(items, &item);
	assert_int_equal(n_allocated, SIZE_MAX / 2);
	assert_true(vec_grow(&items, &n_allocated, n_allocated - 1, sizeof(item)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),          cmocka_unit_test(test_add),
		cmocka_unit_test(test_sort_and_find),  cmocka_unit_test(test_remove),
		cmocka_unit_test(test_arguments_once), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
