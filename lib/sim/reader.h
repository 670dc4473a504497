/*
 * Values out of YAML nodes. Each returns false after it has added what is wrong to diags; an absent node (NULL) leaves
 * *ret alone and is good.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan/node.h"

/* False when it is no mapping. Keys other than `known` (NULL-terminated) are added to diags all the same, so that the
 * caller finds the other errors, too: it must look at d->errors. `what` completes "… is not a key of". */
bool reader_mapping(const struct node *n, const char *what, const char *const *known, struct diags *d);
bool reader_sequence(const struct node *n, const char *what, struct diags *d);
bool reader_text(const struct node *n, size_t max, const char **ret, struct diags *d);
bool reader_duration(const struct node *n, int64_t max_ms, int64_t *ret_ms, struct diags *d);
/* "10%", or a number from 0 to 1. */
bool reader_share(const struct node *n, double *ret, struct diags *d);
bool reader_number(const struct node *n, double min, double max, double *ret, struct diags *d);
bool reader_count(const struct node *n, uint64_t min, uint64_t max, uint64_t *ret, struct diags *d);
bool reader_bool(const struct node *n, bool *ret, struct diags *d);
/* The index of one of `choices` (NULL-terminated). */
bool reader_choice(const struct node *n, const char *const *choices, size_t *ret, struct diags *d);
void reader_error(const struct node *n, struct diags *d, const char *fmt, ...) printf_like(3, 4);
/* The same about the key that the node stands under. */
void reader_key_error(const struct node *n, struct diags *d, const char *fmt, ...) printf_like(3, 4);
