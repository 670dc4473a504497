/* A service as people read it: its page, its line, and the table of all services. */
#pragma once

#include "page.h"

bool service_is(const json_t *form); /* rather than a rollout */
/* Of `p->rollout`, which is a service. */
void service_render(struct canvas *c, const struct page *p);
/* "hello progressing, 2 of 3 aliases as declared: the reason". */
void service_put_line(struct canvas *c, const json_t *service);
/* `shown` of them, in the order of the array; `now`: on the daemon's clock. */
void service_put_table(struct canvas *c, const json_t *services, size_t shown, int64_t now_unix_ms);
