/*
 * The MetricDataQueries of a `query`: what must agree within them, and the JSON that CloudWatch is sent.
 */
#pragma once

#include "plan/record.h"

/* Reports every error across keys. `period`: of the analysis. */
void query_check(const struct record *query, const struct field *period, struct diags *diags);
/* As they were written, in that order, without blanks. Of what had no error. */
const char *query_json(struct arena *a, const struct record *query);
/* The Id of the one that returns data. Of what had no error; borrowed from the record. */
const char *query_returning(const struct record *query);
