#include "engine/lane.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define IDLE_MAX_MS MS_PER_HOUR

/* --- lists --- */

void call_list_append(struct call_list *l, struct call *c)
{
	c->next = NULL;
	c->prev = l->last;
	if (l->last)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
	l->len++;
}

void call_list_prepend(struct call_list *l, struct call *c)
{
	c->prev = NULL;
	c->next = l->first;
	if (l->first)
		l->first->prev = c;
	else
		l->last = c;
	l->first = c;
	l->len++;
}

void call_list_remove(struct call_list *l, struct call *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		l->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		l->last = c->prev;
	c->prev = NULL;
	c->next = NULL;
	l->len--;
}

static void leave_list(struct lane *lane)
{
	struct lane_list *l = lane->list;
	if (!l)
		return;
	if (lane->prev)
		lane->prev->next = lane->next;
	else
		l->first = lane->next;
	if (lane->next)
		lane->next->prev = lane->prev;
	else
		l->last = lane->prev;
	lane->prev = NULL;
	lane->next = NULL;
	lane->list = NULL;
	l->len--;
}

static void join_list(struct lane_list *l, struct lane *lane)
{
	leave_list(lane);
	lane->prev = l->last;
	if (l->last)
		l->last->next = lane;
	else
		l->first = lane;
	l->last = lane;
	lane->list = l;
	l->len++;
}

/* --- lanes --- */

static void lane_free(struct lanes *l, struct lane *lane)
{
	require(lane->n_calls == 0);
	leave_list(lane);
	strmap_put(&l->by_key, lane->key, NULL);
	free(lane->key);
	free(lane->account);
	free(lane->region);
	free(lane);
}

void lanes_deinit(struct lanes *l)
{
	while (l->idle.first)
		lane_free(l, l->idle.first);
	require(l->active.len == 0);
	strmap_deinit(&l->by_key);
}

/* A second's worth may be saved up; of API Gateway's calls nothing, as AWS counts those of all its buckets
 * together, and
 * 5 of GetResources in any 2 seconds. */
static double burst_of(enum lane_kind kind, double rate)
{
	return kind == LANE_RESOURCES || kind == LANE_APIGATEWAY || rate < 1 ? 1 : rate;
}

struct lane *lanes_get(struct lanes *l, enum lane_kind kind, const char *account, const char *region, double rate,
		       int64_t now_ms)
{
	char *key cleanup(mem_free_p) = mem_printf("%d/%s/%s", (int)kind, region, account);
	struct lane *lane = strmap_get(&l->by_key, key);
	if (lane)
		return lane;
	/* Its bucket is full by now, so forgetting it changes nothing but the memory in use. */
	while (l->idle.first && now_ms - l->idle.first->idle_since_ms >= IDLE_MAX_MS)
		lane_free(l, l->idle.first);

	lane = mem_alloc(sizeof(*lane));
	lane->kind = kind;
	lane->key = take_ptr(key);
	lane->account = mem_strdup(account);
	lane->region = mem_strdup(region);
	lane->idle_since_ms = now_ms;
	bucket_init(&lane->bucket, rate, burst_of(kind, rate), now_ms);
	adaptive_init(&lane->adaptive, rate, now_ms);
	retry_budget_init(&lane->budget);
	strmap_put(&l->by_key, lane->key, lane);
	join_list(&l->idle, lane);
	return lane;
}

/* --- pace --- */

const char *lane_name(enum lane_kind kind)
{
	static const char *const names[LANE_COUNT] = {
	    [LANE_LAMBDA] = "calls of Lambda's control plane",
	    [LANE_GET_FUNCTION] = "GetFunction calls",
	    [LANE_INVOKE] = "invokes",
	    [LANE_PROBE] = "probes",
	    [LANE_METRIC_DATA] = "GetMetricData calls",
	    [LANE_ALARMS] = "DescribeAlarms calls",
	    [LANE_APIGATEWAY] = "calls of API Gateway",
	    [LANE_DEPLOYMENT] = "CreateDeployment calls",
	    [LANE_RESOURCES] = "GetResources calls",
	    [LANE_STS] = "calls of STS",
	};

	return names[kind];
}

/* Nothing that a rollback waits for is slowed down: traffic is on a version that has failed. */
static bool keeps_pace(enum dispatch_priority p)
{
	return p == PRIORITY_HOME || p == PRIORITY_LOOKUP;
}

bool lane_take(struct lane *lane, enum dispatch_priority p, int64_t now_ms)
{
	bool slow = !keeps_pace(p) && lane->adaptive.slowed;

	if (slow && bucket_wait_ms(&lane->slow, now_ms) > 0)
		return false;
	if (!bucket_take(&lane->bucket, now_ms))
		return false;
	return !slow || bucket_take(&lane->slow, now_ms);
}

void lane_give_back(struct lane *lane, enum dispatch_priority p)
{
	bucket_give_back(&lane->bucket);
	if (!keeps_pace(p) && lane->adaptive.slowed)
		bucket_give_back(&lane->slow);
}

int64_t lane_wait_ms(const struct lane *lane, enum dispatch_priority p, int64_t now_ms)
{
	int64_t wait_ms = bucket_wait_ms(&lane->bucket, now_ms), slow_ms = 0;

	if (!keeps_pace(p) && lane->adaptive.slowed)
		slow_ms = bucket_wait_ms(&lane->slow, now_ms);
	return slow_ms > wait_ms ? slow_ms : wait_ms;
}

enum lane_pace lane_answered(struct lane *lane, bool throttled, int64_t now_ms)
{
	struct adaptive *a = &lane->adaptive;
	bool before = a->slowed;
	double rate;

	adaptive_answered(a, now_ms, throttled);
	/* Others use the quota too: what was saved up is not there. */
	if (throttled)
		lane->bucket.tokens = 0;
	else if (adaptive_has_recovered(a, now_ms))
		a->slowed = false;
	rate = a->rate < lane->bucket.rate ? a->rate : lane->bucket.rate;
	if (a->slowed && !before) {
		bucket_init(&lane->slow, rate, 1, now_ms);
		lane->slow.tokens = 0;
	} else if (a->slowed) {
		bucket_set_rate(&lane->slow, rate, rate < 1 ? 1 : rate, now_ms);
	}
	return a->slowed == before ? LANE_AS_BEFORE : a->slowed ? LANE_SLOWED : LANE_RECOVERED;
}

void lanes_hold(struct lanes *l, struct lane *lane)
{
	(void)l;
	if (lane->n_calls++ == 0)
		leave_list(lane);
}

void lanes_release(struct lanes *l, struct lane *lane, int64_t now_ms)
{
	if (--lane->n_calls > 0)
		return;
	lane->idle_since_ms = now_ms;
	join_list(&l->idle, lane);
}

void lanes_queue(struct lanes *l, struct call *c, bool first)
{
	struct lane *lane = c->lane;
	if (first)
		call_list_prepend(&lane->queues[c->what.priority], c);
	else
		call_list_append(&lane->queues[c->what.priority], c);
	c->place = PLACE_QUEUE;
	if (lane->n_queued++ == 0)
		join_list(&l->active, lane);
}

void lanes_unqueue(struct lanes *l, struct call *c)
{
	struct lane *lane = c->lane;
	(void)l;
	call_list_remove(&lane->queues[c->what.priority], c);
	if (--lane->n_queued == 0)
		leave_list(lane);
}

void lanes_rotate(struct lanes *l, struct lane *lane)
{
	join_list(&l->active, lane);
}
