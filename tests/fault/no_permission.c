/*
 * rolloutd with one step broken on purpose: it routes to aliases without ever permitting the API to invoke them. A test
 * that counts failed requests must see it. Linked instead of lib/chain/diff_permission.c; no other part differs.
 */
#include "chain/diff_inner.h"

void diff_permissions(struct diff *d)
{
	for (size_t n = 0; n < d->spec->api.n_stages; n++)
		d->ready[n] = true;
}

void diff_unused_permissions(struct diff *d)
{
	(void)d;
}
