/* What differs between a plan and AWS, a line for each difference. */
#pragma once

#include <jansson.h>

#include "screen.h"

/* "+ create alias prod: version 2", "~ stage prod: variable lambdaAlias: test -> prod", "! …", indented. */
void change_put(struct canvas *c, const json_t *change, int indent);

enum change_sort {
	SORT_MAKES,   /* '+' */
	SORT_ALTERS,  /* '~' */
	SORT_REMOVES, /* '-' */
	SORT_HINDERS, /* '!': a problem */
	SORT_WAITS,   /* '.' */
};

enum change_sort change_sort_of(const json_t *change);
