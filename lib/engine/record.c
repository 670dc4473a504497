/*
 * A rollout's state as JSON, by one table for both directions. Every field must be there: a record with an unknown
 * version, a missing field or a value out of its range is unreadable, and its rollout is parked rather than guessed at.
 * Records of earlier versions are read as they were written: what they do not have yet is zero, as nothing of it had
 * happened.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/nesting.h"
#include "base/text.h"
#include "engine/item.h"
#include "engine/record_values.h"

#define RECORD_VERSION	6
#define LANDED_SINCE	6 /* the times at which steps landed */
#define METRIC_BITS_MAX ((UINT64_C(1) << LIMIT_METRICS) - 1)

enum field_type { FIELD_BOOL, FIELD_U32, FIELD_U64, FIELD_I64, FIELD_ENUM, FIELD_TEXT };

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	size_t size;  /* of the member */
	uint64_t max; /* of an enum or u32 */
	int since;    /* the record's version that it came with; 0: the first */
};

#define MEMBER(m) offsetof(struct rollout, m), sizeof(((struct rollout *)0)->m)

static const struct field fields[] = {
    {"phase", FIELD_ENUM, MEMBER(phase), PHASE_BLOCKED, 0},
    {"goal", FIELD_ENUM, MEMBER(goal), GOAL_HOME, 0},
    {"pause", FIELD_U32, MEMBER(pause), 15, 0},
    {"step", FIELD_U32, MEMBER(step), LIMIT_STEPS, 0},
    {"applied", FIELD_BOOL, MEMBER(applied), 0, 0},
    {"look", FIELD_BOOL, MEMBER(look), 0, 0},
    {"advance", FIELD_BOOL, MEMBER(advance), 0, 0},
    {"full", FIELD_BOOL, MEMBER(full), 0, 0},
    {"superseded", FIELD_BOOL, MEMBER(superseded), 0, 0},
    {"quarantine", FIELD_BOOL, MEMBER(quarantine), 0, 0},
    {"take_over", FIELD_BOOL, MEMBER(take_over), 0, 0},
    {"reopened", FIELD_BOOL, MEMBER(reopened), 0, 0},
    {"prepared", FIELD_BOOL, MEMBER(prepared), 0, 0},
    {"unsure", FIELD_BOOL, MEMBER(unsure), 0, 0},
    {"cancelled", FIELD_BOOL, MEMBER(cancelled), 0, 0},
    {"finishing", FIELD_BOOL, MEMBER(finishing), 0, 0},
    {"stable", FIELD_U64, MEMBER(stable), 0, 0},
    {"canary", FIELD_U64, MEMBER(canary), 0, 0},
    {"stable_hash", FIELD_TEXT, MEMBER(stable_hash), 0, 0},
    {"canary_hash", FIELD_TEXT, MEMBER(canary_hash), 0, 0},
    {"live_version", FIELD_U64, MEMBER(live.version), 0, 0},
    {"live_extra", FIELD_U64, MEMBER(live.extra), 0, 0},
    {"live_weight_bp", FIELD_U32, MEMBER(live.weight_bp), WEIGHT_BP_MAX, 0},
    {"revision", FIELD_TEXT, MEMBER(revision), 0, 0},
    {"asked_low", FIELD_U64, MEMBER(asked[0]), 0, 0},
    {"asked_high", FIELD_U64, MEMBER(asked[1]), 0, 0},
    {"wait", FIELD_ENUM, MEMBER(wait), WAIT_PROVISION, 0},
    {"seq", FIELD_U64, MEMBER(seq), 0, 0},
    {"attempts", FIELD_U32, MEMBER(attempts), UINT32_MAX, 0},
    {"retry_boot_ms", FIELD_I64, MEMBER(retry_boot_ms), 0, 0},
    {"stale", FIELD_U64, MEMBER(stale), 0, 0},
    {"created_unix_ms", FIELD_I64, MEMBER(created_unix_ms), 0, 0},
    {"first_traffic_unix_ms", FIELD_I64, MEMBER(first_traffic_unix_ms), 0, 0},
    {"step_from_unix_ms", FIELD_I64, MEMBER(step_from_unix_ms), 0, 0},
    {"promoted_unix_ms", FIELD_I64, MEMBER(promoted_unix_ms), 0, 0},
    {"ended_unix_ms", FIELD_I64, MEMBER(ended_unix_ms), 0, 0},
    {"baked_ms", FIELD_I64, MEMBER(baked_ms), 0, 0},
    {"bake_mark_boot_ms", FIELD_I64, MEMBER(bake_mark_boot_ms), 0, 0},
    {"hold_from_baked_ms", FIELD_I64, MEMBER(hold_from_baked_ms), 0, 0},
    {"prepare_ms", FIELD_I64, MEMBER(prepare_ms), 0, 0},
    {"read_through_unix_ms", FIELD_I64, MEMBER(read_through_unix_ms), 0, 0},
    {"alarms_read_unix_ms", FIELD_I64, MEMBER(alarms_read_unix_ms), 0, 0},
    {"next_poll_unix_ms", FIELD_I64, MEMBER(next_poll_unix_ms), 0, 0},
    {"poll_pending", FIELD_BOOL, MEMBER(poll_pending), 0, 0},
    {"poll_seq", FIELD_U64, MEMBER(poll_seq), 0, 0},
    {"verdict", FIELD_ENUM, MEMBER(verdict), VERDICT_FAIL, 0},
    {"gap", FIELD_ENUM, MEMBER(gap), VERDICT_GAP_UNREADABLE, 0},
    {"allowed", FIELD_BOOL, MEMBER(allowed), 0, 0},
    {"why", FIELD_TEXT, MEMBER(why), 0, 0},
    {"reason", FIELD_TEXT, MEMBER(reason), 0, 0},
    {"trouble", FIELD_TEXT, MEMBER(trouble), 0, 0},
    {"gated_pre", FIELD_BOOL, MEMBER(gated_pre), 0, 2},
    {"gated_post", FIELD_BOOL, MEMBER(gated_post), 0, 2},
    {"alias_provisioned", FIELD_BOOL, MEMBER(alias_provisioned), 0, 2},
    {"stable_provisioned", FIELD_U32, MEMBER(stable_provisioned), UINT32_MAX, 2},
    {"provisioned", FIELD_U32, MEMBER(provisioned), UINT32_MAX, 2},
    {"provision_asked", FIELD_BOOL, MEMBER(provision_asked), 0, 2},
    {"provision_unsure", FIELD_BOOL, MEMBER(provision_unsure), 0, 2},
    {"release", FIELD_U64, MEMBER(release), 0, 2},
    {"moving_ms", FIELD_I64, MEMBER(moving_ms), 0, 2},
    {"soak_version", FIELD_U64, MEMBER(soak_version), 0, 2},
    {"soak_from_unix_ms", FIELD_I64, MEMBER(soak_from_unix_ms), 0, 2},
    {"soak_seen_unix_ms", FIELD_I64, MEMBER(soak_seen_unix_ms), 0, 2},
    {"soak_seen_boot_ms", FIELD_I64, MEMBER(soak_seen_boot_ms), 0, 2},
    {"old_revision", FIELD_TEXT, MEMBER(old_revision), 0, 3},
    {"old_views", FIELD_U32, MEMBER(old_views), UINT32_MAX, 3},
    {"take_told", FIELD_BOOL, MEMBER(take_told), 0, 4},
    {"told_revision", FIELD_TEXT, MEMBER(told_revision), 0, 4},
    {"history_seen", FIELD_BOOL, MEMBER(history.seen), 0, 5},
    {"history_invocations", FIELD_U64, MEMBER(history.invocations), 0, 5},
    {"history_errors", FIELD_U64, MEMBER(history.errors), 0, 5},
    {"despite_alarms", FIELD_BOOL, MEMBER(despite_alarms), 0, 5},
    {"excused_alarms", FIELD_U32, MEMBER(excused_alarms), METRIC_BITS_MAX, 5},
    {"dry_failed", FIELD_U32, MEMBER(dry_failed), METRIC_BITS_MAX, 5},
    {"concluded", FIELD_BOOL, MEMBER(concluded), 0, 5},
    {"stable_since_unix_ms", FIELD_I64, MEMBER(stable_since_unix_ms), 0, 6},
    {"probes_skipped", FIELD_U64, MEMBER(probes_skipped), 0, 6},
};

static void add_i64(struct buf *out, int64_t v)
{
	if (v < 0)
		buf_add_char(out, '-');
	buf_add_u64(out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void encode_field(const struct rollout *r, const struct field *f, struct buf *out)
{
	const void *at = (const char *)r + f->offset;
	char text[LIMIT_REASON];

	/* This runs for every rollout of every turn, so it is written without printf. */
	buf_add_text(out, ",\"");
	buf_add_text(out, f->name);
	buf_add_text(out, "\":");
	switch (f->type) {
	case FIELD_BOOL:
		buf_add_text(out, *(const bool *)at ? "true" : "false");
		break;
	case FIELD_ENUM:
	case FIELD_U32:
		buf_add_u64(out, *(const uint32_t *)at);
		break;
	case FIELD_U64:
		/* As text: JSON's integers are signed here, and `asked` uses all 64 bits. */
		buf_add_char(out, '"');
		buf_add_u64(out, *(const uint64_t *)at);
		buf_add_char(out, '"');
		break;
	case FIELD_I64:
		add_i64(out, *(const int64_t *)at);
		break;
	case FIELD_TEXT:
		/* A sentence that was cut within a character must not grow in JSON: it has to fit again. */
		text_copy_printable(text, sizeof(text), at);
		buf_add_json_string(out, text);
		break;
	}
}

/* Only as far as there are any. */
static void encode_landed(const struct rollout *r, struct buf *out)
{
	size_t n = LIMIT_STEPS;

	while (n > 0 && r->landed_unix_ms[n - 1] == 0)
		n--;
	buf_add_text(out, "],\"landed_unix_ms\":[");
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		add_i64(out, r->landed_unix_ms[i]);
	}
}

void record_encode(const struct rollout *r, const char *boot_id, struct buf *out)
{
	_Static_assert(sizeof(enum rollout_phase) == sizeof(uint32_t), "enums are stored as 32 bits");
	buf_addf(out, "{\"version\":%d,\"boot_id\":", RECORD_VERSION);
	buf_add_json_string(out, boot_id);
	for (size_t i = 0; i < array_len(fields); i++)
		encode_field(r, &fields[i], out);
	buf_add_text(out, ",\"alarms\":[");
	for (size_t i = 0; i < LIMIT_METRICS; i++) {
		if (i > 0)
			buf_add_char(out, ',');
		buf_add_u64(out, r->alarms[i]);
	}
	encode_landed(r, out);
	buf_add_text(out, "]}");
}

static bool decode_field(const json_t *v, const struct field *f, struct rollout *r)
{
	void *at = (char *)r + f->offset;
	json_int_t n = json_integer_value(v);

	switch (f->type) {
	case FIELD_BOOL:
		*(bool *)at = json_is_true(v);
		return json_is_boolean(v);
	case FIELD_ENUM:
	case FIELD_U32:
		if (!json_is_integer(v) || n < 0 || (uint64_t)n > f->max)
			return false;
		*(uint32_t *)at = (uint32_t)n;
		return true;
	case FIELD_U64:
		return json_is_string(v) && text_parse_u64(json_string_value(v), UINT64_MAX, at) == 0;
	case FIELD_I64:
		*(int64_t *)at = n;
		return json_is_integer(v) && n >= -RECORD_MS_MAX && n <= RECORD_MS_MAX;
	case FIELD_TEXT:
		return json_is_string(v) && text_copy(at, f->size, json_string_value(v));
	}
	return false;
}

static bool decode_alarms(const json_t *list, struct rollout *r)
{
	if (json_array_size(list) != LIMIT_METRICS)
		return false;
	for (size_t i = 0; i < LIMIT_METRICS; i++) {
		const json_t *v = json_array_get(list, i);
		json_int_t n = json_integer_value(v);

		if (!json_is_integer(v) || n < 0 || n > ALARM_MISSING)
			return false;
		r->alarms[i] = (enum alarm_state)n;
	}
	return true;
}

static bool decode_landed(const json_t *list, struct rollout *r)
{
	if (!json_is_array(list) || json_array_size(list) > LIMIT_STEPS)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		json_int_t n = json_integer_value(v);

		if (!json_is_integer(v) || n < -RECORD_MS_MAX || n > RECORD_MS_MAX)
			return false;
		r->landed_unix_ms[i] = n;
	}
	return true;
}

static void json_free(json_t *j)
{
	json_decref(j);
}
define_cleanup(json_t *, json_free);

int record_decode(const char *json, struct rollout *ret, char ret_boot_id[static BOOT_ID_SIZE], char *ret_error,
		  size_t error_size)
{
	size_t len = strlen(json);
	bool sane = len <= LIMIT_RECORD_BYTES && !nesting_exceeds(json, len, LIMIT_JSON_DEPTH);
	json_t *root cleanup(json_free_p) = sane ? json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct rollout r = {0};
	const char *boot_id;
	json_int_t version;

	if (!json_is_object(root)) {
		(void)snprintf(ret_error, error_size, "its stored record is not JSON");
		return 1;
	}
	version = json_integer_value(json_object_get(root, "version"));
	if (version < 1 || version > RECORD_VERSION) {
		(void)snprintf(ret_error, error_size, "its stored record was written by another version of rolloutd");
		return 1;
	}
	for (size_t i = 0; i < array_len(fields); i++) {
		if (fields[i].since > version)
			continue;
		if (!decode_field(json_object_get(root, fields[i].name), &fields[i], &r)) {
			(void)snprintf(ret_error, error_size, "its stored record has no usable `%s`", fields[i].name);
			return 1;
		}
	}
	if (!decode_alarms(json_object_get(root, "alarms"), &r)) {
		(void)snprintf(ret_error, error_size, "its stored record has no usable `alarms`");
		return 1;
	}
	if (version >= LANDED_SINCE && !decode_landed(json_object_get(root, "landed_unix_ms"), &r)) {
		(void)snprintf(ret_error, error_size, "its stored record has no usable `landed_unix_ms`");
		return 1;
	}
	boot_id = json_string_value(json_object_get(root, "boot_id"));
	(void)text_copy(ret_boot_id, BOOT_ID_SIZE, boot_id ? boot_id : "");
	*ret = r;
	return 0;
}

int record_load_sample(void *ctx, const struct store_sample *x)
{
	struct samples *all = ctx;
	bool sane = x->start_unix_ms >= 0 && x->start_unix_ms <= RECORD_MS_MAX;
	struct sample *s = sane ? samples_at(all, x->start_unix_ms) : NULL;
	struct counts *counts[3];

	if (!s)
		return 0;
	counts[0] = &s->canary;
	counts[1] = &s->stable;
	counts[2] = &s->alias;
	for (size_t n = 0; n < array_len(counts); n++) {
		*counts[n] = (struct counts){.seen = x->counts[2 * n] >= 0};
		counts[n]->invocations = counts[n]->seen ? (uint64_t)x->counts[2 * n] : 0;
		counts[n]->errors = x->counts[2 * n + 1] > 0 ? (uint64_t)x->counts[2 * n + 1] : 0;
	}
	record_values_decode(x->values, all, x->start_unix_ms);
	probing_unpack(x->probes, s);
	return 0;
}
